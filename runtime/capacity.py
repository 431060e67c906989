"""What this machine holds and is good at, told without torch: a run is checked in the time that importing it takes.

Knows nothing of models, nor of which device torch will choose; `runtime/device.py` chooses by the same signs.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # instructions of CPUs that multiply it natively
AMPERE = 8  # the major version of GPUs from which bfloat16 is native
ADA = (8, 9)  # the version from which 8-bit floats are multiplied
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container

Version = tuple[int, int]


@frozen
class Capacity:
    """The device that training would use here, and what there is of it."""

    device: str  # "cuda" or "cpu", which here is whatever shares the machine's own memory
    memory: int  # bytes of it
    bfloat16: bool  # what it computes in unless asked
    compiler: bool  # whether there is a C++ compiler, which a CPU's compiled code needs
    devices: int = 1  # that share the rows of a step
    name: str = ""  # of the device, as torch gives it; empty where that is not known
    float8: bool = False  # whether it multiplies 8-bit floats
    ranks: int = 1  # processes that train together, each on such a device

    def compiles(self, asked: str) -> bool:
        """Whether a stage computes by compiled code: "auto" is where that works."""
        return asked == "yes" or (asked == "auto" and self.compiler)

    def bytes_of(self, dtype: str) -> int:
        """Bytes of a number in what a stage is to compute in: "auto" is what is good here."""
        return 2 if dtype == "bfloat16" or (dtype == "auto" and self.bfloat16) else 4


def capacity() -> Capacity:
    """What this machine has, for one process."""
    gpu, compiler = _gpu(), cpp_compiler() is not None
    if gpu is not None:
        memory, version, name = gpu
        return Capacity("cuda", memory, version[0] >= AMPERE, compiler, name=name, float8=version >= ADA)
    return Capacity("cpu", memory_of_machine(), bool(cpu_flags() & FAST_BFLOAT16), compiler)


def cpu_flags() -> set[str]:
    """Instruction sets of the CPU, as Linux names them (x86: flags, Arm: Features); empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = (line for line in text.split("\n") if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())


def cpp_compiler() -> str | None:
    """The C++ compiler that torch would find."""
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")


def memory_of_machine() -> int:
    """Bytes of memory that this process may use at most; a container's limit counts."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # pragma: no cover - Windows tells in another way
        return sys.maxsize
    return min([whole, *filter(None, map(_limit, LIMITS))])


def _limit(file: str) -> int | None:
    try:
        return int(Path(file).read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return None


def _gpu() -> tuple[int, Version, str] | None:
    """Memory, version and name of the first GPU that CUDA shows; None where torch would find none."""
    from importlib import metadata  # slow to import, and asked of this machine alone

    try:
        if metadata.version("torch").endswith("+cpu"):
            return None
        return ask_driver(ctypes.CDLL("libcuda.so.1"))
    except (OSError, metadata.PackageNotFoundError):
        return None


def ask_driver(driver: ctypes.CDLL) -> tuple[int, Version, str] | None:
    """Ask CUDA's driver for memory, version and name of its first device; None where it has none."""
    count, device, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    steps: tuple[Callable[[], int], ...] = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGetCount(ctypes.byref(count)),
        lambda: 0 if count.value else 1,
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(major), MAJOR, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(minor), MINOR, device),
        lambda: driver.cuDeviceGetName(name, len(name), device),
    )
    if any(step() for step in steps):  # each says 0 where it went well
        return None
    return memory.value, (major.value, minor.value), name.value.decode(errors="replace")
