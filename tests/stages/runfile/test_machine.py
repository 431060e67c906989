"""The machine that a run is planned for: this one, bounded by hardware that the run names, or that of a file."""

import pytest
from attrs import evolve

from nanogen.planning.hardware import load_hardware
from nanogen.shelf import find, shipped
from runtime.capacity import Capacity
from runtime.ranks import ALONE, Ranks
from stages.runfile import machine
from stages.runfile.machine import agreed, here, of_hardware

GPU = Capacity("cuda", memory=85_000_000_000, bfloat16=True, compiler=True, name="NVIDIA H100 80GB HBM3")


@pytest.fixture(autouse=True)
def this(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "capacity", lambda: GPU)


def hardware(name: str):
    return load_hardware(find(name, "hardware"))


def test_named_hardware_of_the_same_kind_bounds_the_memory():
    assert here() == GPU
    assert here(hardware("h100x8")) == evolve(GPU, memory=84_900_000_000)
    assert here(hardware("h200")) == GPU  # which promises more than there is
    assert here(hardware("cpu")) == GPU  # which this machine is not


def test_ranks_have_a_gpu_each_or_share_the_memory_of_the_machine(monkeypatch):
    assert here(ranks=4) == evolve(GPU, ranks=4)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = evolve(GPU, device="cpu", memory=8 * 10**9)
    monkeypatch.setattr(machine, "capacity", lambda: alone)
    assert here(ranks=4) == evolve(alone, memory=2 * 10**9, ranks=4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # and two on another machine
    assert here(ranks=4).memory == 4 * 10**9


def test_ranks_have_what_the_smallest_of_their_machines_has():
    class Told(Ranks):
        def most(self, *numbers):
            return [max(number, -1000) for number in numbers]

    assert agreed(Told(1, 2), None) == evolve(GPU, ranks=2, memory=1000)
    assert agreed(ALONE, None) == GPU


def test_a_file_promises_its_devices():
    found = of_hardware(hardware("slurm_h100"))
    assert (found.device, found.memory, found.devices, found.bfloat16) == ("cuda", 84_900_000_000, 16, True)
    assert found.name == "NVIDIA H100 80GB HBM3"
    assert not of_hardware(hardware("cpu")).bfloat16
    with_float8 = {name for name in shipped("hardware") if of_hardware(hardware(name)).float8}
    assert {"h100", "rtx4090", "b200x8"} <= with_float8
    assert not {"a100x8", "rtx3090", "apple_m", "cpu"} & with_float8
