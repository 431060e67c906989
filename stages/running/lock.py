"""One process at work in a folder. The system frees the lock however its process ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.faults import Fault

NAME = ".lock"
LOOKED_EVERY = 0.1  # seconds


@contextmanager
def alone(folder: Path, name: str = NAME, patience: float = 0.0) -> Iterator[None]:
    """Refuse a second process under the same name in a folder, once it has not ended for `patience` seconds."""
    deadline = time.monotonic() + patience
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock
        yield
        return
    with (folder / name).open("a+") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(LOOKED_EVERY)
                    continue
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
