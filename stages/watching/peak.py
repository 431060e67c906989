"""The peak of the device that a log names: of a hardware file that was asked for, or of the one that lists its name."""

from __future__ import annotations

from functools import cache

from attrs import frozen

from nanogen.planning.hardware import Hardware, load_hardware
from nanogen.shelf import find, shipped


@frozen
class Peak:
    """What one device could do, and the name of the file that says so."""

    flops_per_second: float
    named: str


@cache
def peak(gpu: str | None, dtype: str, asked: str | None, float8: float = 0.0) -> Peak | None:
    """None where nobody knows: a share of a made-up peak says nothing. `gpu` is as torch names it, with a count.

    `float8` is the share of the matmuls that are in 8 bits, whose peak is another.
    """
    named, hardware = fitting(gpu, asked)
    speed = _speed(hardware, dtype, float8) if hardware is not None else None
    return Peak(speed, named) if speed is not None else None


@cache
def fitting(gpu: str | None, asked: str | None) -> tuple[str, Hardware | None]:
    """The hardware file that was asked for, or the one that lists the device; and its name.

    Of several the file of as many devices comes first.
    """
    count, _, device = (gpu or "").partition(" x ")
    files = (asked,) if asked else shipped("hardware") if gpu else ()
    found = [(name, load_hardware(find(name, "hardware"), name)) for name in files]
    listed = [(name, hardware) for name, hardware in found if asked or device in hardware.names]
    listed.sort(key=lambda one: str(one[1].devices) != count)
    return next(iter(listed), ("", None))


def _speed(hardware: Hardware, dtype: str, float8: float) -> float | None:
    if dtype == "bfloat16" and hardware.peak.bfloat16 is None:
        return None
    return hardware.peak.mixed(dtype, float8)
