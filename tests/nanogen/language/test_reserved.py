"""The names that equations may not have are those that PyTorch's modules have."""

from torch import nn

from nanogen.language.reserved import MODULE_NAMES


def test_the_list_is_pytorchs():
    """A name that another version of PyTorch has, and this one has not, may stand on the list too."""
    public = {name for name in dir(nn.Module()) if not name.startswith("_")}
    assert public - MODULE_NAMES == set()
