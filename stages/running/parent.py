"""End with whoever started this process, and holds its input open: save and end, or end all the same.

Knows nothing of what is saved.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runtime.stopping import AGAIN

if TYPE_CHECKING:
    from stages.progress import Reporter

HELD = "NANOGEN_INPUT_IS_HELD"  # set for ranks whose input ends with whoever started them
INPUT = 0
SOON = 15.0  # seconds in which what is at work is saved
TOLD = "whoever started this process was killed, so it ends: give the same command again, and it goes on"

_watched = threading.Event()


def watch(*, speaks: bool) -> None:
    """End soon after whoever started this process. Of several that were started together only one `speaks`."""
    os.environ.pop(HELD, None)  # that of what this process starts is another
    _watched.set()
    threading.Thread(target=_wait, args=(speaks,), name="parent", daemon=True).start()


def gone() -> bool:
    """Whether whoever started this process is no more. The system is asked, so it is known as soon as it is so."""
    return _watched.is_set() and bool(select.select([INPUT], [], [], 0)[0])


def _wait(speaks: bool) -> None:
    os.read(INPUT, 1)  # nothing is ever written there: it ends
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # else nothing is at work yet, or any more
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SOON)  # what hangs in a call does not hear signals
    if speaks:
        with suppress(OSError):
            os.write(2, f"{TOLD}\n".encode())
    os._exit(AGAIN)


@contextmanager
def telling(tell: Reporter) -> Iterator[None]:
    """Say why work ends, where it ends because of that."""
    try:
        yield
    except BaseException:
        if gone():
            with suppress(OSError):  # the terminal may be gone as well; the log is not
                tell.line(TOLD)
        raise
