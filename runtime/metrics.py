"""`metrics.jsonl`: one line an event, append-only, without gaps or doubles across a resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from attrs import define


@define
class Metrics:
    """The log of one stage. A save records `size`; going on from it cuts the log back to there."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget what was logged after a save that is being resumed."""
        with self.path.open("ab") as file:
            file.truncate(size)

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


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The events of a log; a last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text().split("\n"):
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
