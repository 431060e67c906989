"""`tracking.json`: for each tracker and stage, what it is called there and how many lines of the log it has.

A log that goes on from a save repeats its lines byte for byte, so a number of lines says all: those are not sent again.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field

from runtime.atomic import write_bytes
from runtime.manifest import to_json
from stages.logs.run_folder import StageFolder, read_json

NAME = "tracking.json"
FORMAT = 1


@define
class Mark:
    """How far one result of a stage was sent to one tracker."""

    stage: str
    begun: dict[str, Any]  # which result: a stage that is made anew is another run of the tracker
    name: str  # of the stage there: with a number from the second result on
    id: str  # whatever the tracker knows it by
    lines: int = 0
    bytes: int = 0  # of the tracker's own file, where it has one
    ended: bool = False


@define
class Ledger:
    """All marks of a run; shared by the threads of the process that sends."""

    path: Path
    marks: dict[str, list[Mark]] = field(factory=dict)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        found = read_json(folder / NAME)
        sinks = found.get("sinks") if found.get("format") == FORMAT else None
        ledger = cls(folder / NAME)
        for sink, marks in (sinks or {}).items():
            ledger.marks[sink] = [Mark(**mark) for mark in marks]
        return ledger

    def mark(self, sink: str, stage: StageFolder, new_id: str) -> Mark:
        """The mark of a stage as it was begun now; a new one where none is there."""
        begun = json.loads(json.dumps(stage.begun))  # as it comes out of the file again
        with self._lock:
            marks = self.marks.setdefault(sink, [])
            found = next((m for m in marks if m.stage == stage.name and m.begun == begun), None)
            if found is None:
                number = 1 + sum(mark.stage == stage.name for mark in marks)
                name = stage.name if number == 1 else f"{stage.name}-{number}"
                found = Mark(stage.name, begun, name, new_id)
                marks.append(found)
            return found

    def save(self) -> None:
        with self._lock:
            sinks = {sink: [attrs.asdict(mark) for mark in marks] for sink, marks in self.marks.items()}
            write_bytes(self.path, to_json({"format": FORMAT, "sinks": sinks}))
