"""A hardware file, typed: what the machines compute with, how fast, and what an hour of them costs.

Every number is the vendor's, of one device, and stands with its source in the file; `mfu` alone is an
assumption. Knows nothing of models, runs or of the machine that it is read on.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from nanogen.bounds import at_least, one_of, positive, share
from nanogen.structure import Count, structure
from nanogen.text.diagnostics import Diagnostic, Place, Refusal
from nanogen.text.document import Document, read_document

DEVICES = ("cuda", "mps", "cpu")
LAUNCHERS = ("inline", "torchrun", "slurm")


@frozen
class Peak:
    """FLOP/s of the matmuls of one device by dtype, dense: no zeros are skipped, sums are kept in float32."""

    float32: float = field(validator=positive)
    bfloat16: float | None = field(default=None, validator=positive)  # absent: not native
    float8: float | None = field(default=None, validator=positive)

    def of(self, dtype: str) -> float:
        """FLOP/s in a dtype; what is not native is computed as float32."""
        return getattr(self, dtype, None) or self.float32


@frozen(kw_only=True)
class Hardware:
    """Devices that are all alike: fields are keys of the file."""

    about: str
    names: tuple[
        str, ...
    ] = ()  # of the device, as torch gives them: how a run that is watched is known to be on it
    device: str = field(validator=one_of(*DEVICES))
    count: int = field(default=1, validator=at_least(1))  # devices of one machine
    machines: int = field(default=1, validator=at_least(1))
    memory: Count = field(validator=positive)  # bytes that PyTorch finds on one device
    bandwidth: float = field(validator=positive)  # bytes a second between a device and its memory
    interconnect: float | None = field(
        default=None, validator=positive
    )  # bytes a second that one device sends, in one direction
    watts: float | None = field(default=None, validator=positive)  # of one device at its limit
    peak: Peak
    mfu: float = field(validator=share)  # of the peak: model FLOPs utilisation, assumed
    launcher: str = field(default="inline", validator=one_of(*LAUNCHERS))
    dollars_an_hour: float | None = field(default=None, validator=positive)  # of all machines

    @property
    def devices(self) -> int:
        return self.count * self.machines

    @property
    def dtype(self) -> str:
        """What values are computed in: bfloat16 where it is native."""
        return "float32" if self.peak.bfloat16 is None else "bfloat16"

    @property
    def device_peak(self) -> float:
        """FLOP/s of one device in its dtype."""
        return self.peak.of(self.dtype)

    @property
    def flops_per_second(self) -> float:
        """What all devices are assumed to reach."""
        return self.devices * self.device_peak * self.mfu

    @property
    def kilowatts(self) -> float | None:
        """What all devices take at their limit; the machines around them are not counted."""
        return None if self.watts is None else self.devices * self.watts / 1000


def load_hardware(path: Path, name: str | None = None) -> Hardware:
    """Read a hardware file; raises Refusal with every fault that was found."""
    document, faults = read_document(path, name)
    hardware, found = (None, faults) if faults else read_hardware(document)
    if hardware is None:
        raise Refusal(found, document)
    return hardware


def read_hardware(document: Document) -> tuple[Hardware | None, list[Diagnostic]]:
    """Return the typed hardware, or None and what is wrong with it."""
    kind = document.data.get("kind")
    if kind != "hardware":
        what = {"model": "a spec", "run": "a run"}.get(str(kind))
        message = f"this is {what}, not hardware" if what else 'hardware opens with `kind = "hardware"`'
        help = "name a file such as `h100x8`" if what else 'write `kind = "hardware"` first'
        return None, [Diagnostic("NG102", message, Place(("kind",)), help=help)]
    return structure(Hardware, {k: v for k, v in document.data.items() if k != "kind"}, ())
