"""The device that torch would use, its driver, and whether this torch has kernels for it. Asks the driver and torch."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nanogen.views.figures import bytes_text
from runtime.capacity import AMPERE, ask_driver
from stages.doctor.finding import Finding, missing, ok, untried, warning

DRIVER = Path("/proc/driver/nvidia/version")
INDEX = "https://download.pytorch.org/whl"


def accelerators() -> Iterator[Finding]:
    """Driver, build and devices; imports torch, which is there."""
    import torch

    from runtime.float8 import lacking

    seen = driver_sees()
    yield build(torch.__version__, torch.version.cuda, getattr(torch.version, "hip", None))
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(number)
            told = f"cuda:{number}, {found.name}, {bytes_text(found.total_memory)}, sm_{found.major}{found.minor}"
            yield ok("device", told)
        yield ok("driver", driver_version() or "its version is not told")
        yield from native(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
        yield dtype(torch.cuda.get_device_capability()[0])
        yield float8(lacking("cuda"))
    elif seen is not None:
        help = f"install torch with CUDA: `pip install torch --index-url {INDEX}/cu128`"
        told = f"a GPU with {bytes_text(seen[0])} is here, and this torch cannot use it"
        yield warning("device", told, help)
    elif torch.backends.mps.is_available():
        yield ok("device", "mps: the GPU of this Mac, with the machine's memory")
        yield untried("compiling", "torch.compile is not tried on MPS: layers run eagerly")
    else:
        yield ok("device", "cpu; neither CUDA nor MPS is here, so neither was tried")


def build(version: str, cuda: str | None, hip: str | None) -> Finding:
    made = f"for CUDA {cuda}" if cuda else f"for ROCm {hip}" if hip else "for CPU alone"
    if hip:
        return untried("torch", f"{version}, built {made}: ROCm was not tried here")
    return ok("torch", f"{version}, built {made}")


def driver_sees() -> tuple[int, tuple[int, int]] | None:
    """Memory and version of the first GPU that CUDA's driver shows, whatever torch is built for."""
    try:
        found = ask_driver(ctypes.CDLL("libcuda.so.1"))
        return found[:2] if found is not None else None
    except OSError:
        return None


def driver_version(file: Path = DRIVER) -> str | None:
    """NVIDIA's, as the kernel tells it."""
    try:
        found = re.search(r"(\d+(?:\.\d+)+)", file.read_text())
    except OSError:
        return None
    return f"NVIDIA {found[1]}" if found else None


def native(capability: tuple[int, int], built: Sequence[str]) -> Iterator[Finding]:
    """Machine code of the same major version and no later minor one runs as it is; else it is made from PTX, or not."""
    own = f"sm_{capability[0]}{capability[1]}"
    codes = [(int(m[1]), int(m[2])) for name in built if (m := re.fullmatch(r"sm_(\d+)(\d)[af]?", name))]
    listed = ", ".join(built) or "none"
    if any(major == capability[0] and minor <= capability[1] for major, minor in codes):
        yield ok("kernels", f"this torch has native ones for {own}")
        return
    virtual = [m for name in built if (m := re.fullmatch(r"compute_(\d+)(\d)", name))]
    help = f"install a torch that lists {own}: `pip install -U torch --index-url {INDEX}/cu128`, or a newer index"
    if any((int(m[1]), int(m[2])) <= capability for m in virtual):
        told = (
            f"none for {own} (built for {listed}): they are made as they are first used, which takes minutes"
        )
        yield warning("kernels", told, help)
    else:
        yield missing("kernels", f"none for {own}: this torch is built for {listed}", help, needed=True)


def dtype(major: int) -> Finding:
    if major >= AMPERE:
        return ok("dtype", "bfloat16 is native here, and is what training computes in")
    help = "expect half the memory's worth of rows, and less speed; nothing is to be set"
    return warning("dtype", "this GPU has no fast bfloat16: training computes in float32", help)


def float8(lack: str) -> Finding:
    """What is not multiplied in 8 bits is no fault of a GPU: nothing asks for it by itself."""
    if lack:
        return ok("float8", f"{lack}, and training does not unless asked")
    return ok(
        "float8", 'large linear maps may be multiplied in 8 bits: `float8 = "auto"` lets a probe decide'
    )
