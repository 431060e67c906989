"""Stop when asked to: by a queue that needs the machine, or by Ctrl-C. A step that is being made is made to its end.

Knows nothing of what is saved, nor of who is told.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

AGAIN = 75  # the exit code of a run that was stopped and will go on when called again: EX_TEMPFAIL
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name))


class Stopped(BaseException):
    """Raised where the work is let go of; not an error, so nothing that handles errors catches it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal = signal_number

    @property
    def exit_code(self) -> int:
        """What a shell expects of Ctrl-C, or else AGAIN."""
        return 130 if self.signal == signal.SIGINT else AGAIN


@define
class Stop:
    """Whether to stop. A signal stops at once whatever does not hold it off."""

    asked: int = field(default=0, init=False)  # the signal, 0 for none
    _held: int = field(default=0, init=False)

    def now(self, stage: str, step: int) -> bool:
        """Whether to stop between two steps of a stage."""
        return bool(self.asked)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a signal off, for whoever looks at `now` before long; one that comes twice is not held off."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def _hear(self, number: int, _frame: object) -> None:
        held = self._held and not self.asked
        self.asked = number
        if not held:
            raise Stopped(number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals within; only the main thread can, elsewhere there are none to hear."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
