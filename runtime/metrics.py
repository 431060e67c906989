"""The log of a stage: `metrics.jsonl`, one line an event, append-only, without gaps or doubles across a resume.

What a clock measured stands beside it in `clock.jsonl`, so that the metrics of a run that was cut off and went on are
those of one that was not, byte for byte. Knows nothing of who logs what.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from attrs import define

METRICS, CLOCK = "metrics.jsonl", "clock.jsonl"  # in a stage's folder


@define
class Metrics:
    """A log file. A save records `size`; going on from it cuts the log back to there."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget what was logged after a save that is being resumed."""
        with self.path.open("ab") as file:
            file.truncate(min(size, self.size))

    def log(self, **event: Any) -> None:
        line = json.dumps(event, ensure_ascii=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()

    def sync(self) -> None:
        """Put the log on disk, before a save that counts on it."""
        if self.path.exists():
            with self.path.open("rb") as file:
                os.fsync(file.fileno())


class Unheard(Metrics):
    """The log of a rank that does not lead: it says nothing."""

    def cut(self, size: int) -> None:
        pass

    def log(self, **event: Any) -> None:
        pass

    def sync(self) -> None:
        pass


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The events of a log; a last line that was cut off by a crash is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = (parsed(line) for line in text.split("\n"))
    return [event for event in found if event is not None]


def parsed(line: str) -> dict[str, Any] | None:
    """The event of a line, or None where it holds no whole one."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The events of a stage's folder, each with what a clock measured of it: the same kind at the same step."""
    times = {_key(line): line for line in read_metrics(folder / CLOCK)}
    return [{**event, **times.get(_key(event), {})} for event in read_metrics(folder / METRICS)]


def _key(event: dict[str, Any]) -> tuple[Any, Any]:
    return event.get("kind"), event.get("step")
