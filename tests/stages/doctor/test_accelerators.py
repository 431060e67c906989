"""Builds, drivers and kernels as they could be; and what this machine has."""

import pytest
import torch

from stages.doctor import accelerators as looking
from stages.doctor.accelerators import accelerators, build, driver_version, dtype, native

WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "built", "state"),
    [
        ((9, 0), WHEEL, "ok"),
        ((8, 9), WHEEL, "ok"),  # runs the code of 8.6
        ((12, 1), WHEEL, "ok"),
        ((10, 0), WHEEL, "ok"),
        ((7, 0), WHEEL, "missing"),
        ((10, 3), ["sm_90"], "missing"),
        ((10, 3), ["sm_90", "compute_90"], "warning"),
        ((7, 0), ["sm_80", "compute_80"], "missing"),
        ((9, 0), ["sm_90a"], "ok"),
        ((9, 0), [], "missing"),
    ],
)
def test_kernels_are_native_made_or_missing(capability, built, state):
    (told,) = native(capability, built)
    assert told.state == state
    assert f"sm_{capability[0]}{capability[1]}" in told.said
    assert told.stops == (state == "missing")


def test_the_dtype_is_that_of_the_generation():
    assert dtype(8).state == "ok"
    assert dtype(7).state == "warning"


def test_a_build_says_what_it_is_for():
    assert build("2", None, None).said == "2, built for CPU alone"
    assert build("2", "12.8", None).said == "2, built for CUDA 12.8"
    assert build("2", None, "6.2").state == "not tried"


def test_the_driver_is_read(tmp_path):
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23\n"
    )
    assert driver_version(tmp_path / "version") == "NVIDIA 570.86.15"
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.1  Release\n"
    )
    assert driver_version(tmp_path / "version") == "NVIDIA 580.1"
    assert driver_version(tmp_path / "nothing") is None


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="of CPUs alone")
def test_a_gpu_that_torch_cannot_use_is_told(monkeypatch):
    monkeypatch.setattr(looking, "driver_sees", lambda: (80 << 30, (9, 0)))
    told = {one.about: one for one in accelerators()}["device"]
    assert told.state == "warning"
    assert "80 GiB" in told.said
    assert "pip install" in told.help
    monkeypatch.setattr(looking, "driver_sees", lambda: None)
    assert {one.about: one for one in accelerators()}["device"].said.startswith("cpu")


def test_a_gpu_has_its_lines(monkeypatch):
    class Properties:
        name, total_memory, major, minor = "NVIDIA H100 80GB HBM3", 80 << 30, 9, 0

    for name, value in {
        "is_available": True,
        "device_count": 2,
        "get_device_properties": Properties,
        "get_device_capability": (9, 0),
        "get_arch_list": WHEEL,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    found = list(accelerators())
    assert [one.said for one in found if one.about == "device"] == [
        f"cuda:{n}, NVIDIA H100 80GB HBM3, 80 GiB, sm_90" for n in (0, 1)
    ]
    assert {one.about for one in found} == {"torch", "device", "driver", "kernels", "dtype", "float8"}
    assert all(one.state == "ok" for one in found)
    assert "lets a probe decide" in found[-1].said


def test_a_gpu_without_8_bit_floats_lacks_nothing():
    told = looking.float8("this GPU does not multiply 8-bit floats")
    assert told.state == "ok"
    assert told.said.startswith("this GPU does not")
