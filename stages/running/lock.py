"""One process at work in a folder. The system frees the lock however its process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.faults import Fault

NAME = ".lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse a second process on the same folder."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock
        yield
        return
    with (folder / NAME).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            number = lock.read().strip()
            named = f"process {number}" if number.isdigit() else "another process"
            raise Fault(f"{named} is at work in `{folder}`", "wait for it, or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def at_work(folder: Path) -> int | None:
    """The process at work in a folder, or None."""
    try:
        import fcntl

        with (folder / NAME).open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                number = lock.read().strip()
                return int(number) if number.isdigit() else 0
    except (ImportError, OSError):
        return None
    return None
