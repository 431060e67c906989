"""`nanogen graph` as people call it: the file it writes, or what it prints."""

from xml.etree import ElementTree

from nanogen.compiler import compile_file
from nanogen.shelf import find
from nanogen.views.picture import picture


def test_the_picture_is_written_or_printed(call, tmp_path):
    path = tmp_path / "model.svg"
    code, out, err = call("graph", "nanochat_2025", "-o", str(path))
    assert (code, out, err) == (0, f"picture: {path}\n", "")
    assert path.read_text() == picture(compile_file(find("nanochat_2025", "model")).graph)
    assert call("graph", "nanochat_2025")[1] == path.read_text()


def test_of_another_depth(call):
    drawn = ElementTree.fromstring(call("graph", "nanochat_2025", "--set", "depth=12")[1])
    assert "185,597,952 parameters" in " ".join(drawn.itertext())


def test_a_picture_that_cannot_be_written(call):
    code, _, err = call("graph", "nanochat_2025", "-o", "/no/such/folder/model.svg")
    assert code == 1
    assert "error: `/no/such/folder/model.svg` cannot be written: no such file or directory" in err
