"""The machine that a run is planned for: this one, or that of a hardware file. Knows nothing of models."""

from __future__ import annotations

from attrs import evolve

from nanogen.planning.hardware import Hardware
from runtime.capacity import Capacity, capacity


def here(hardware: Hardware | None = None) -> Capacity:
    """This machine; where the run names hardware of its kind, with no more memory than that has."""
    found = capacity()
    if hardware is None or hardware.device != found.device:
        return found
    return evolve(found, memory=min(found.memory, hardware.memory))


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
