"""Ask Linux for what Python's `os` does not offer in every version that runs this. Knows nothing of sandboxes."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from stages.sandbox.inside import syscalls

LIBC = ctypes.CDLL(None, use_errno=True)

NEW_MOUNTS, NEW_UTS, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USER, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000

READ_ONLY, NO_SUID, NO_DEVICES, NO_PROGRAMS = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 32, 4096, 16384, 1 << 18
DETACH = 2

DEATH_SIGNAL, SECCOMP, NO_NEW_PRIVILEGES = 1, 22, 38


def asked(what: str, result: int) -> int:
    """The result of a call, or the error that it met."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def word(value: Any) -> Any:
    """An argument as wide as the kernel reads it."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def system_call(name: str, *values: Any) -> int:
    number = syscalls.number(name)
    assert number is not None, name
    return asked(name, LIBC.syscall(word(number), *map(word, values)))


def unshare(flags: int) -> None:
    asked("unshare", LIBC.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [t.encode() if t is not None else None for t in (source, target, kind)]
    asked("mount", LIBC.mount(*texts, ctypes.c_ulong(flags), options.encode()))


def unmount(target: str) -> None:
    asked("umount", LIBC.umount2(target.encode(), DETACH))


def prctl(option: int, *values: Any) -> None:
    filled = [*values, 0, 0, 0, 0][:4]
    asked("prctl", LIBC.prctl(option, *map(word, filled)))


class MountAttributes(ctypes.Structure):
    """`struct mount_attr`."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def seal(target: str) -> None:
    """Make a mount, and all that is mounted below it, read-only, without devices and set-user-id."""
    at_here, at_recursive = -100, 0x8000
    wanted = MountAttributes(READ_ONLY | NO_SUID | NO_DEVICES, 0, 0, 0)
    size = ctypes.sizeof(wanted)
    system_call("mount_setattr", at_here, target.encode(), at_recursive, ctypes.byref(wanted), size)


def drop_capabilities() -> None:
    """Give up every right of root that this process may still have."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    none = (ctypes.c_uint32 * 6)()
    system_call("capset", ctypes.byref(header), ctypes.byref(none))
