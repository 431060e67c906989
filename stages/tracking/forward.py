"""Send what a run has logged, and what it logs from now on, to one sink. Knows nothing of processes or of threads."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from stages.logs.run_folder import RunFolder, StageFolder
from stages.logs.tail import LogTail
from stages.tracking.ledger import Ledger, Mark
from stages.tracking.sink import Line, Sink, Stage, Tracker, line

BATCH = 500  # lines between two notes of how far it is


@define
class Forwarder:
    """One sink of a run, and the stages that are open in it."""

    run: RunFolder
    name: str  # of the sink
    sink: Sink
    ledger: Ledger
    _open: dict[str, tuple[Mark, Tracker]] = field(factory=dict, init=False)
    _logs: dict[str, LogTail] = field(factory=dict, init=False)

    def pump(self, *, last: bool = False) -> int:
        """Send what is new of every stage; returns how many lines. `last`: nothing more will be logged."""
        return sum(self._stage(stage, last) for stage in self.run.stages() if stage.logged)

    def close(self) -> None:
        """Leave what is open as it is: a stage that was cut off goes on in the same run of the tracker."""
        while self._open:
            self._open.popitem()[1][1].close()

    def _stage(self, stage: StageFolder, last: bool) -> int:
        mark = self.ledger.mark(self.name, stage, self.sink.new_id())
        done = stage.done
        events = self._logs.setdefault(str(stage.folder), LogTail(stage.folder)).read()
        ready = len(events) if done or last else _timed(events)
        opened = self._open.get(stage.name)
        if opened is not None and opened[0] is not mark:  # it was made anew
            self._open.pop(stage.name)[1].close()
            opened = None
        if opened is None and ready > mark.lines and not mark.ended:
            told = Stage(self.run.name, stage.uses, _facts(events), resumed=mark.lines > 0)
            opened = self._open[stage.name] = (mark, self.sink.open(told, mark))
        first = mark.lines
        if opened is not None:
            for at in range(first, ready, BATCH):
                self._send(opened[1], mark, events, at, min(at + BATCH, ready))
        if done and ready <= mark.lines and not mark.ended and opened is not None:
            self._open.pop(stage.name)[1].close()
            mark.ended = True
            self.ledger.save()
        return max(0, mark.lines - first)

    def _send(self, tracker: Tracker, mark: Mark, events: list[dict[str, Any]], begin: int, end: int) -> None:
        found: list[Line] = [
            one for number in range(begin, end) if (one := line(number, events[number])) is not None
        ]
        tracker.send(found)
        mark.lines = end
        self.ledger.save()


def _timed(events: list[dict[str, Any]]) -> int:
    """How many events have all that they will have: a line's time is written just after it."""
    if events and "at" not in events[-1] and events[-1].get("kind") in ("step", "validation"):
        return len(events) - 1
    return len(events)


def _facts(events: list[dict[str, Any]]) -> dict[str, Any]:
    begin = next((event for event in events if event.get("kind") == "begin"), {})
    return {key: value for key, value in begin.items() if key != "kind"}
