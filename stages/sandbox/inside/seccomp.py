"""The filter that the kernel holds every system call of a process against, as a program for its small machine.

It is the wall that all kinds of isolation share: no sockets, no further process or thread, no other program, no
signal to anyone else. It cannot be taken off again, and knows nothing of files' names: those are for other walls.
"""

from __future__ import annotations

import ctypes
import os
import struct

from stages.sandbox.inside import kernel
from stages.sandbox.inside.syscalls import CHECKED, FOLDERS, HOSTILE, PLAIN, number

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE, END = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM; END is seen as SIGSYS
MACHINE_TAG = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBER_AT, MACHINE_AT, ARGUMENTS_AT = 0, 4, 16

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: F_SETOWN would send signals to others
DESCRIPTOR_REQUESTS = (0, 1, 2, 3, 4, 1030)
TERMINAL_REQUESTS = (0x5401, 0x5450, 0x5451, 0x541B)  # TCGETS, FIONCLEX, FIOCLEX, FIONREAD

Step = tuple[int, int, int, int]  # what to do, how far to jump if so, if not, a number


def argument(place: int) -> Step:
    """Load the low half of an argument: all that are looked at here are 32 bits wide to the kernel."""
    return (LOAD, 0, 0, ARGUMENTS_AT + 8 * place)


def only(place: int, values: tuple[int, ...]) -> list[Step]:
    """Allow a call if an argument is one of a few values."""
    tests = [(EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [argument(place), *tests, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def without(place: int, bits: int) -> list[Step]:
    """Allow a call if an argument has none of some bits."""
    return [argument(place), (ANY_BIT, 0, 1, bits), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def checks(scratch: bool) -> dict[str, list[Step]]:
    """What is asked of the arguments of each call that needs it."""
    itself = os.getpid()
    allowed: list[Step] = [(RETURN, 0, 0, ALLOW)]
    return {
        "open": allowed if scratch else without(1, WRITING),
        "openat": allowed if scratch else without(2, WRITING),
        "fcntl": only(1, DESCRIPTOR_REQUESTS),
        "ioctl": only(1, TERMINAL_REQUESTS),
        "kill": only(0, (itself,)),
        "tgkill": only(0, (itself,)),
        "prlimit64": only(0, (0, itself)),
    }


def steps(scratch: bool) -> list[Step]:
    """The whole filter; `scratch` says whether there is a folder to write in, and nothing else that can change."""
    tag = MACHINE_TAG[os.uname().machine]
    found: list[Step] = [(LOAD, 0, 0, MACHINE_AT), (EQUAL, 1, 0, tag), (RETURN, 0, 0, END)]
    found.append((LOAD, 0, 0, NUMBER_AT))
    blocks = {name: [(RETURN, 0, 0, ALLOW)] for name in (*PLAIN, *(FOLDERS if scratch else ()))}
    asked = checks(scratch)
    blocks |= {name: asked[name] for name in CHECKED}
    blocks |= {name: [(RETURN, 0, 0, END)] for name in HOSTILE}
    for name, block in blocks.items():
        if (wanted := number(name)) is not None:
            found += [(EQUAL, 0, len(block), wanted), *block]
    return [*found, (RETURN, 0, 0, REFUSE)]


class Filter(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def install(scratch: bool) -> None:
    """Put the filter on this process for good; it needs `NO_NEW_PRIVILEGES`."""
    listed = steps(scratch)
    raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in listed))
    program = Filter(len(listed), ctypes.cast(raw, ctypes.c_void_p))
    mode_filter = 2
    kernel.prctl(kernel.SECCOMP, mode_filter, ctypes.byref(program))
