"""The peak of a device: of the file that lists it, of the file that was asked for, or unknown."""

from stages.watching.peak import Peak, peak


def test_a_device_is_known_by_the_name_that_torch_gives():
    assert peak("1 x NVIDIA H100 80GB HBM3", "bfloat16", None) == Peak(989.4e12, "h100")
    assert peak("8 x NVIDIA H100 80GB HBM3", "float32", None) == Peak(66.9e12, "h100x8")


def test_of_an_unknown_device_no_peak_is_made_up():
    assert peak("1 x NVIDIA H100 PCIe", "bfloat16", None) is None
    assert peak(None, "float32", None) is None


def test_a_file_may_be_asked_for():
    assert peak(None, "float32", "cpu") == Peak(768e9, "cpu")
    assert peak(None, "bfloat16", "cpu") is None  # that it does not compute in


def test_what_is_multiplied_in_8_bits_has_a_peak_of_its_own():
    half = peak("1 x NVIDIA H100 80GB HBM3", "bfloat16", None, 0.5)
    assert half is not None
    assert half.flops_per_second == 1 / (0.5 / 1978.9e12 + 0.5 / 989.4e12)
