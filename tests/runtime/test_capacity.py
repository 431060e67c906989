"""What a machine holds, told without torch, agrees with what torch finds."""

import ctypes
import subprocess
import sys
from importlib import metadata

import pytest
import torch

from runtime import capacity
from runtime.device import machine


class Driver:
    """CUDA's driver with one device of 80 GB, of Hopper's version; `fails` is the call that goes wrong."""

    def __init__(self, devices: int = 1, fails: str = ""):
        self.devices, self.fails = devices, fails

    def said(self, call: str) -> int:
        return 999 if call == self.fails else 0

    def cuInit(self, flags):
        return self.said("cuInit")

    def cuDeviceGetCount(self, count):
        count._obj.value = self.devices
        return self.said("cuDeviceGetCount")

    def cuDeviceGet(self, device, number):
        device._obj.value = number
        return self.said("cuDeviceGet")

    def cuDeviceTotalMem_v2(self, memory, device):
        memory._obj.value = 80 * 2**30
        return self.said("cuDeviceTotalMem_v2")

    def cuDeviceGetAttribute(self, value, attribute, device):
        assert attribute == 75
        value._obj.value = 9
        return self.said("cuDeviceGetAttribute")

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA H100 80GB HBM3"
        return self.said("cuDeviceGetName")


def test_the_driver_is_asked_for_memory_version_and_name():
    assert capacity.ask_driver(Driver()) == (80 * 2**30, 9, "NVIDIA H100 80GB HBM3")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "driver",
    [
        Driver(devices=0),
        *(Driver(fails=call) for call in ("cuInit", "cuDeviceTotalMem_v2", "cuDeviceGetName")),
    ],
)
def test_a_driver_without_a_device_has_nothing(driver):
    assert capacity.ask_driver(driver) is None


def test_a_gpu_is_told_with_its_memory(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "2.9.0")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    found = capacity.capacity()
    assert (found.device, found.memory, found.bfloat16) == ("cuda", 80 * 2**30, True)


def test_a_torch_without_cuda_uses_no_gpu(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "2.9.0+cpu")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    assert capacity.capacity().device == "cpu"


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="a Mac's GPU shares the machine's memory")
def test_the_machine_is_the_one_that_torch_finds():
    found, chosen = capacity.capacity(), machine()
    assert found.device == chosen.device
    assert found.bfloat16 == (chosen.dtype == "bfloat16")
    if found.device == "cuda":
        assert found.memory == pytest.approx(torch.cuda.mem_get_info()[1], rel=0.05)


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text(f"{2**20}\n")
    whole = capacity.memory_of_machine()
    monkeypatch.setattr(capacity, "LIMITS", (str(tmp_path / "max"), str(tmp_path / "none")))
    assert capacity.memory_of_machine() >= whole
    monkeypatch.setattr(capacity, "LIMITS", (str(tmp_path / "max"), str(tmp_path / "limit")))
    assert capacity.memory_of_machine() == 2**20


def test_it_is_told_without_torch():
    code = "import sys; from runtime.capacity import capacity; capacity(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
