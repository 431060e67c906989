"""What this machine computes with: device, dtype, and whether it can compile. Knows nothing of models."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from runtime.capacity import AMPERE, FAST_BFLOAT16, cpp_compiler
from runtime.capacity import cpu_flags as _cpu_flags
from runtime.heap import keep_freed_memory

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@frozen
class Machine:
    """The device that will be used, and why so."""

    device: str  # "cpu", "cuda" or "mps"
    dtype: str  # of values; parameters stay float32
    compiles: bool
    why: str  # one line for people

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]


def machine(*, dtype: str = "auto", compiled: str = "auto", because: str = "as asked") -> Machine:
    """Choose device, dtype and compilation; "auto" takes what pays on this machine, else say `because`."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    chosen, reason = (dtype, because) if dtype != "auto" else _dtype(device)
    can, lack = _compiles(device)
    on = can if compiled == "auto" else compiled == "yes"
    how = "compiled" if on else f"eager{f': {lack}' if lack and compiled == 'auto' else ''}"
    return Machine(device, chosen, on, f"{device}, {chosen} ({reason}), {how}")


def devices() -> list[str]:
    """Every device that a copy of a model can have to itself."""
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [machine(dtype="float32", compiled="no").device]


def ready_to_train() -> None:
    """What holds in every process that trains: the same bits each time, and memory kept from step to step."""
    be_deterministic()
    keep_freed_memory()


def be_deterministic() -> None:
    """Make this process compute the same bits from the same numbers.

    Compiled code would otherwise add the gradients of an embedding in whatever order its threads come; where
    a device has no other way than that, torch warns and goes on.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    # filling fresh memory with NaN costs time, and nothing here reads memory before writing it
    filling: Any = torch.utils.deterministic
    filling.fill_uninitialized_memory = False


def _dtype(device: str) -> tuple[str, str]:
    if device == "cuda":
        native = torch.cuda.get_device_capability() >= (AMPERE, 0)
        return ("bfloat16", "native here") if native else ("float32", "this GPU has no fast bfloat16")
    if device == "cpu" and _cpu_flags() & FAST_BFLOAT16:
        return "bfloat16", "this CPU multiplies it natively"
    return "float32", "bfloat16 is not native here"


def _compiles(device: str) -> tuple[bool, str]:
    if device == "mps":
        return False, "not tried on MPS"
    if device == "cuda":
        return True, ""
    if cpp_compiler() is not None:
        return True, ""
    wanted = os.environ.get("CXX") or "g++"
    return False, f"no C++ compiler (`{wanted}`), about 8 times slower on CPU"


def describe() -> dict[str, str]:
    """The environment, for reports and manifests."""
    facts = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
    }
    if torch.cuda.is_available():
        facts["gpu"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
    except OSError:
        return platform.processor() or "unknown"
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    return f"{os.cpu_count()} x {name}"
