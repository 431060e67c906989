"""Find out, by trying, whether this machine can isolate a program, and with what.

The least that counts: no network, nothing written outside, and bounds on memory, processor time and processes. Two
ways lead there, both on Linux (x86_64, aarch64) and both with a filter of system calls (seccomp), limits of resources,
and no rights: `namespaces`, a root, network and processes of its own; and where these may not be made, as in most
containers, `landlock`, rules on what may be read, with no folder to write in at all. A way counts once a program
that tries to get out through it has got nowhere. macOS and Windows have neither: there nothing is run.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable

from attrs import frozen

from runtime.faults import Fault
from stages.sandbox.box import run_in_box
from stages.sandbox.inside.syscalls import known_machine
from stages.sandbox.program import Limits, Program

SHARED = (
    "seccomp: no sockets, processes, threads, other programs, signals to others",
    "limits: memory, processor time, file size, open files, no core files",
    "no rights of root, and no way to new ones",
)
WAYS = {
    "namespaces": (
        "files: a root with Python's library, read-only, and a scratch folder in memory",
        "network: a namespace without any",
        "processes: a namespace in which the program is alone",
    ),
    "landlock": ("files: Python's library can be read, nothing can be written",),
}
LIMITS = Limits(seconds=20)

ESCAPES = """
import os, socket, sys

def tries():
    def fork():
        if os.fork() == 0:
            os._exit(0)
    yield "network", lambda: socket.socket()
    yield "processes", fork
    yield "programs", lambda: os.execv(sys.executable, [sys.executable, "-c", ""])
    yield "files to read", lambda: open({file!r}).close()
    yield "files to write", lambda: open({file!r}, "a").close()
    yield "memory", lambda: bytearray({memory})

def escapes():
    found = []
    for name, attempt in tries():
        try:
            attempt()
        except (OSError, MemoryError):
            continue
        found.append(name)
    return found
"""
HELD = "def check(candidate):\n    assert candidate() == []\n"


@frozen
class Isolation:
    """What a machine offers: a way, or none."""

    way: str = ""
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # why the ways before it, or all, are closed

    @property
    def enough(self) -> bool:
        return bool(self.way)

    @property
    def why_not(self) -> str:
        return "; ".join(self.missing)


@functools.cache
def isolation() -> Isolation:
    """The best way that holds here."""
    if sys.platform != "linux":
        return Isolation(missing=(f"namespaces, Landlock and seccomp are Linux's; this is {sys.platform}",))
    if not known_machine() or sys.maxsize < 1 << 32:
        return Isolation(missing=("the filter of system calls knows 64-bit x86_64 and aarch64 alone",))
    return best(tuple(WAYS), fault_of)


def best(ways: tuple[str, ...], fault_of: Callable[[str], str]) -> Isolation:
    """The first way that has no fault."""
    missing: list[str] = []
    for way in ways:
        if not (fault := fault_of(way)):
            return Isolation(way, (*WAYS[way], *SHARED), tuple(missing))
        missing.append(f"{way}: {fault}")
    return Isolation(missing=tuple(missing))


def fault_of(way: str) -> str:
    """Why a way is closed, or does not hold; empty where it does."""
    with tempfile.NamedTemporaryFile() as file:
        code = ESCAPES.format(file=file.name, memory=2 * LIMITS.memory)
        program = Program(code, HELD, "escapes")
        try:
            found = run_in_box(program, LIMITS, namespaces=way == "namespaces")
        except Fault as fault:
            return fault.message
    return "" if found.passed else f"a trial of it {found.outcome}: {found.reason}"
