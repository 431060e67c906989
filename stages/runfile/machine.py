"""The machine that a run is planned for: this one, or that of a hardware file. Knows nothing of models."""

from __future__ import annotations

import os

from attrs import evolve

from nanogen.planning.hardware import Hardware
from runtime.capacity import Capacity, capacity
from runtime.ranks import Ranks


def here(hardware: Hardware | None = None, ranks: int = 1) -> Capacity:
    """This machine; where the run names hardware of its kind, with no more memory than that has.

    Of `ranks` that train together each has a GPU, or else they share the memory of the machine.
    """
    found = evolve(capacity(), ranks=ranks)
    if ranks > 1 and found.device != "cuda":
        beside = int(os.environ.get("LOCAL_WORLD_SIZE") or ranks)
        found = evolve(found, memory=found.memory // beside)
    if hardware is None or hardware.device != found.device:
        return found
    return evolve(found, memory=min(found.memory, hardware.memory))


def agreed(ranks: Ranks, hardware: Hardware | None) -> Capacity:
    """The machine of each of several ranks, with the memory that all of them have: they have to decide alike."""
    found = here(hardware, ranks.count)
    (less,) = ranks.most(-found.memory)
    return evolve(found, memory=-less)


def of_hardware(hardware: Hardware) -> Capacity:
    """What a hardware file promises of a device, and how many share a step."""
    return Capacity(
        hardware.device,
        hardware.memory,
        hardware.peak.bfloat16 is not None,
        compiler=True,
        devices=hardware.devices,
        name=hardware.names[0] if hardware.names else "",
        float8=hardware.peak.float8 is not None,
    )
