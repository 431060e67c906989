"""A log that another process writes: its whole lines so far, and again when it is cut back. Knows nothing of runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import define, field

from runtime.metrics import CLOCK, METRICS, parsed

_Step = tuple[Any, Any]


@define
class Tail:
    """The whole lines of a file that grows; a last line that is half written waits until it is whole.

    A run that goes on from a save cuts its log back and writes lines again, other ones perhaps. What was read
    holds as long as its last line still stands where it stood; else the file is read again from its start.
    """

    path: Path
    lines: list[bytes] = field(factory=list, init=False)
    cuts: int = field(default=0, init=False)  # how often it was read again
    _read: int = field(default=0, init=False)  # bytes
    _inode: int = field(default=0, init=False)

    def read(self) -> list[bytes]:
        """Read on; returns the lines that are new, which are all of them where the file was cut back."""
        try:
            with self.path.open("rb") as file:
                if self.lines and not self._holds(file):
                    self._forget()
                self._inode = os.fstat(file.fileno()).st_ino
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:  # not there yet, or moved aside
            self._forget()
            return []
        self._read += len(whole) + len(newline)
        new = whole.split(b"\n") if newline else []
        self.lines += new
        return new

    def _holds(self, file: Any) -> bool:
        last = self.lines[-1] + b"\n"
        file.seek(self._read - len(last))
        return os.fstat(file.fileno()).st_ino == self._inode and file.read(len(last)) == last

    def _forget(self) -> None:
        if self.lines:
            self.lines, self._read, self.cuts = [], 0, self.cuts + 1


@define
class LogTail:
    """The events of a stage's folder so far, each with what a clock measured of it."""

    folder: Path
    events: list[dict[str, Any]] = field(factory=list, init=False)
    _metrics: Tail = field(init=False)
    _clock: Tail = field(init=False)
    _times: dict[_Step, dict[str, Any]] = field(factory=dict, init=False)
    _waiting: int = field(default=0, init=False)  # events before it have their time, or never get one
    _cuts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._metrics, self._clock = Tail(self.folder / METRICS), Tail(self.folder / CLOCK)

    def read(self) -> list[dict[str, Any]]:
        """Read on; returns all events."""
        new = self._metrics.read()
        times = self._clock.read()  # later, so that the times of what was read are there
        if self._metrics.cuts + self._clock.cuts != self._cuts:
            self._cuts = self._metrics.cuts + self._clock.cuts
            self.events, self._times, self._waiting = [], {}, 0
            new, times = self._metrics.lines, self._clock.lines
        self._times |= {_step(time): time for time in _parsed(times)}
        self.events += _parsed(new)
        for place in range(self._waiting, len(self.events)):
            found = self._times.get(_step(self.events[place]))
            if found is not None:
                self.events[place] = {**self.events[place], **found}
        self._waiting = max(0, len(self.events) - 1)
        return self.events


def _parsed(lines: list[bytes]) -> list[dict[str, Any]]:
    found = (parsed(line.decode("utf-8", "replace")) for line in lines)
    return [event for event in found if event is not None]


def _step(event: dict[str, Any]) -> _Step:
    return event.get("kind"), event.get("step")
