"""Let a process of its own turn pickled checkpoints into safetensors, bounded in time and memory.

It reads tensors and nothing else (`runtime/unpickling_child.py`), in an environment that holds no secrets, and what it
writes comes in as any other .safetensors file does. Nothing is unpickled in this process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from runtime.faults import Fault
from runtime.plain_json import read_object

CHILD = Path(__file__).with_name("unpickling_child.py")
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")  # of the environment
GIB = 1 << 30


@frozen
class Bounds:
    """What one conversion may take, for a file of so many bytes."""

    seconds: float
    memory: int  # bytes
    disk: int  # bytes of what it writes

    @classmethod
    def of(cls, size: int) -> Bounds:
        # a file that cannot be mapped stands in memory once, its tensors a second time; torch itself takes the rest
        return cls(seconds=300 + 60 * size / GIB, memory=6 * GIB + 4 * size, disk=2 * size + (64 << 20))


def convert(sources: Sequence[Path], folder: Path, bounds: Bounds | None = None) -> list[Path]:
    """Write each checkpoint into `folder` as safetensors; raises Fault that says why one does not come in."""
    made = []
    for source in sources:
        target = folder / f"{source.stem}.safetensors"
        _run(source, target, bounds or Bounds.of(source.stat().st_size))
        said = read_object(folder / f"{target.name}.said", "import it again")
        if "refused" in said:
            raise Fault(
                f"`{source}` does not come in: {said['refused']}",
                "name a file of weights, as nanochat's `model_000650.pt`, or a .safetensors file",
            )
        made.append(target)
    return made


def _run(source: Path, target: Path, bounds: Bounds) -> None:
    files, limits = [str(source.absolute()), str(target.absolute())], json.dumps(asdict(bounds))
    command = [sys.executable, "-P", "-s", str(CHILD), *files, limits]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(target.parent),
        cwd=target.parent,
        start_new_session=True,
    )
    with process:
        try:
            _, errors = process.communicate(timeout=bounds.seconds)
        except subprocess.TimeoutExpired:
            message = f"`{source}` was not read within {bounds.seconds:,.0f} seconds"
            raise Fault(message, "is it what it should be?") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        raise Fault(f"`{source}` was not read: {_why(process.returncode, errors)}", "is there room enough?")


def _environment(folder: Path) -> dict[str, str]:
    """Enough to find the interpreter and torch, and nothing that says who runs it."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    places = {
        str(Path(spec.origin).parents[1])
        for package in ("torch", "safetensors")
        if (spec := importlib.util.find_spec(package)) is not None and spec.origin is not None
    }
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    home = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sorted(places))}
    return kept | threads | home


def _why(code: int, errors: bytes) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    lines = errors.decode(errors="replace").strip().splitlines()
    return (
        "its process ran out of memory"
        if b"MemoryError" in errors
        else (lines[-1] if lines else f"exit code {code}")
    )
