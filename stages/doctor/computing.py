"""What tensors will be computed with: dtype, threads, compiler, and the attention kernel that torch picks. Imports torch."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from runtime.capacity import FAST_BFLOAT16, cpp_compiler, cpu_flags
from stages.doctor.finding import Finding, missing, ok, untried, warning
from stages.doctor.machine import available_processors

BACKENDS = {0: "plain products", 1: "flash", 2: "memory-efficient", 3: "cuDNN"}  # as torch numbers them
HEAD, POSITIONS = 64, 64  # of the trial


def computing() -> Iterator[Finding]:
    """In the order in which people ask: numbers, kernels, compiler, threads."""
    from runtime.device import machine

    chosen = machine()
    if chosen.device == "cpu":
        yield cpu_dtype(cpu_flags())
    yield from attention(chosen.device, chosen.dtype)
    yield decoding(chosen.device)
    if chosen.device == "cuda":
        yield gpu_compiler(find_spec("triton") is not None)
    elif chosen.device == "cpu":
        yield cpu_compiler(cpp_compiler(), headers())
    yield threads(_threads(), available_processors())
    yield processes()


def cpu_dtype(flags: set[str]) -> Finding:
    fast = sorted(flags & FAST_BFLOAT16)
    if fast:
        return ok("dtype", f"bfloat16 is native ({', '.join(fast)}), and is what training computes in")
    return ok("dtype", "float32: this CPU does not multiply bfloat16 by itself")


# -- kernels


def attention(device: str, dtype: str) -> Iterator[Finding]:
    """Which kernel torch picks, asked with tensors like a layer's: causal, and with the mask of a window."""
    if device == "mps":
        yield untried("attention", "torch does not tell which kernel MPS takes")
        return
    for masked, what in ((False, "attention"), (True, "windows")):
        picked = _picked(device, dtype, masked=masked)
        if picked is None:
            yield untried(what, "this torch does not tell which kernel it takes")
        elif picked == "plain products" and device == "cuda":
            help = (
                "a torch built for this GPU has fused ones; until then scores take memory as length squared"
            )
            yield warning(what, "no fused kernel takes these tensors: plain products", help)
        else:
            why = "with the mask of a window" if masked else "causal, without a mask"
            yield ok(what, f"torch picks its {picked} kernel ({device}, {dtype}, {why})")


def _picked(device: str, dtype: str, *, masked: bool) -> str | None:
    import torch

    ask = getattr(torch, "_fused_sdp_choice", None)
    if ask is None:
        return None
    q = torch.zeros(1, 2, POSITIONS, HEAD, device=device, dtype=getattr(torch, dtype), requires_grad=True)
    mask = torch.ones(1, 1, POSITIONS, POSITIONS, device=device, dtype=torch.bool).tril() if masked else None
    return BACKENDS.get(ask(q, q, q, attn_mask=mask, is_causal=mask is None))


def decoding(device: str) -> Finding:
    """Which maps decoding uses."""
    import torch

    from runtime.decoding.prepack import can_prepack

    if device != "cpu":
        return ok("decoding", f"torch's own maps on {device}")
    if can_prepack("cpu", torch.float32):
        return ok("decoding", "oneDNN's kernels over weights in their own order, float32")
    return warning(
        "decoding",
        "plain maps: this torch has no oneDNN",
        "a torch from its own index has it, and is 2 times as fast",
    )


# -- compilers


def headers() -> bool:
    """Whether Python's headers are here: compiled code is loaded as a module of it."""
    return (Path(sysconfig.get_path("include")) / "Python.h").is_file()


def cpu_compiler(found: str | None, has_headers: bool) -> Finding:
    if found is None:
        wanted = os.environ.get("CXX") or "g++"
        told = f"no C++ compiler (`{wanted}`): training on CPU runs eagerly, about 8 times slower"
        return missing("compiler", told, "install one: `apt install g++`, `xcode-select --install`")
    if not has_headers:
        told = f"`{found}`, and Python's headers are not here: compiled code may not load"
        return warning("compiler", told, "install them: `apt install python3-dev`")
    return ok("compiler", f"`{found}`: layers are compiled")


def gpu_compiler(has_triton: bool) -> Finding:
    if not has_triton:
        told = "no triton: compiling fails on CUDA"
        return missing(
            "compiler", told, '`pip install triton`, or `compile = "no"` in the stage', needed=True
        )
    if shutil.which("gcc") is None and shutil.which("cc") is None and shutil.which("clang") is None:
        told = "triton, and no C compiler, which it starts its kernels with"
        return missing("compiler", told, "install one: `apt install gcc`", needed=True)
    return ok("compiler", "triton, with a C compiler: layers are compiled")


# -- threads and processes


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def threads(used: int, available: int) -> Finding:
    told, asked = f"{used} of {available} processors", os.environ.get("OMP_NUM_THREADS")
    because = f" (OMP_NUM_THREADS={asked})" if asked else ""
    if used > available:
        return warning(
            "threads", f"{told}{because}: they wait for each other", f"`OMP_NUM_THREADS={available}`"
        )
    if used < available and asked is None:
        return ok("threads", f"{told}: one a core, which computes as fast")
    return ok("threads", told + because)


def processes() -> Finding:
    """What processes that train together would speak through."""
    import torch.distributed as dist

    if not dist.is_available():
        return warning(
            "processes", "this torch has no distributed package: one process trains", "another build has it"
        )
    named = [
        name
        for name, here in (("NCCL", dist.is_nccl_available()), ("gloo", dist.is_gloo_available()))
        if here
    ]
    return ok("processes", f"{' and '.join(named) or 'none'} for processes that train together; not tried")
