"""What a plan is made for: hardware that was named, or this machine with what is known of its speed."""

from __future__ import annotations

import platform

from attrs import evolve, frozen

from nanogen.planning.hardware import Hardware, load_hardware
from nanogen.shelf import find, shipped
from runtime.capacity import Capacity
from stages.planning.effort import Effort
from stages.runfile.load import Run
from stages.runfile.machine import here, of_hardware

HERE = "this machine"
READING = 0.6  # of the bandwidth: assumed, of decoding


@frozen
class Target:
    """Devices that a run is planned for; `hardware` says how fast they are, None where nobody does."""

    name: str
    on: Capacity
    hardware: Hardware | None
    assumed: str  # where speed, watts and price come from, as a sentence

    def hours(self, flops: float, dtype: str, devices: int, float8: float = 0.0) -> float | None:
        """What matmuls take at the assumed utilisation, a share of them in float8."""
        if self.hardware is None:
            return None
        peak = self.hardware.peak.mixed(dtype, float8)
        return flops / (devices * peak * self.hardware.mfu) / 3600

    def sending(self, sent: float) -> float:
        """Hours in which a device hands so many bytes to others; none where nobody says how fast."""
        speed = self.hardware.interconnect if self.hardware is not None else None
        return sent / speed / 3600 if speed is not None else 0.0

    def taken(self, effort: Effort, devices: int) -> float | None:
        """Hours of an effort: of its matmuls, or of what is read or sent meanwhile, where that takes longer."""
        dtype = self.dtype(effort.dtype)
        computing = self.hours(effort.flops * effort.share(devices), dtype, 1, effort.float8)
        if computing is None or self.hardware is None:
            return None
        numbers = effort.writing.moved(devices if effort.parts != 1 else 1) if effort.writing else 0.0
        width = 2 if dtype == "bfloat16" else 4
        reading = numbers * width / (READING * self.hardware.bandwidth) / 3600
        return max(computing, reading, self.sending(effort.sent))

    def dtype(self, asked: str) -> str:
        """What is computed in: "auto" is what is good there."""
        return asked if asked != "auto" else "bfloat16" if self.on.bfloat16 else "float32"

    def dollars(self, hours: float | None) -> float | None:
        price = self.hardware.dollars_an_hour if self.hardware is not None else None
        return None if hours is None or price is None else hours * price

    def kilowatt_hours(self, hours: float | None) -> float | None:
        taken = self.hardware.kilowatts if self.hardware is not None else None
        return None if hours is None or taken is None else hours * taken


def target(run: Run, asked: str | None = None, memory: int | None = None) -> Target:
    """The hardware that is asked for, or else that the run names, or this machine; `memory` bytes a device, if given."""
    hardware = run.hardware if asked is None else load_hardware(find(asked, "hardware"), asked)
    if hardware is not None:
        name = asked or run.document.data["hardware"]
        found = Target(name, of_hardware(hardware), hardware, _assumed(hardware))
    else:
        found = _this_machine()
    return found if memory is None else evolve(found, on=evolve(found.on, memory=memory))


def _this_machine() -> Target:
    on = here()
    name = _like(on)
    if name is None:
        why = f"the speed of `{on.name or 'this GPU'}` is in no hardware file: `--on FILE` names one"
        return Target(HERE, on, None, why)
    hardware = load_hardware(find(name, "hardware"), name)
    alone = evolve(hardware, count=1, machines=1, dollars_an_hour=None)
    return Target(HERE, on, alone, f"speed as in `{name}`: {_assumed(alone)}")


def _like(on: Capacity) -> str | None:
    """The hardware file that has this machine's speed; a CPU is reckoned as the one that ships."""
    if on.device == "cuda":
        return next((name for name in shipped("hardware") if on.name in _names(name)), None)
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return "apple_m" if apple else "cpu"


def _names(name: str) -> tuple[str, ...]:
    return load_hardware(find(name, "hardware"), name).names


def _assumed(hardware: Hardware) -> str:
    peak = f"{hardware.device_peak / 1e12:,.4g} TFLOP/s a device in {hardware.dtype}"
    return f"{peak} at the peak, of which {100 * hardware.mfu:g} % are assumed"
