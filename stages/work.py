"""What a stage is given: its settings, the folders it needs, and a folder to fill. And who is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import field, frozen

from nanogen.compiler import Compiled
from runtime.manifest import to_json
from stages.progress import Reporter


@frozen
class Input:
    """A stage that this one needs: its name, its kind, and its folder."""

    name: str
    kind: str
    folder: Path

    @property
    def done(self) -> bool:
        """Whether it has left its figures; a report is also made of stages that have not."""
        return (self.folder / RESULT).is_file()

    @property
    def result(self) -> dict[str, Any]:
        """The figures that the stage left."""
        return json.loads((self.folder / RESULT).read_text())


@frozen
class Work:
    """One stage at work."""

    run: str  # name of the run
    name: str  # name of the stage
    settings: Any
    inputs: tuple[Input, ...]
    folder: Path
    seed: int
    tell: Reporter
    compiled: Compiled | None = field(default=None, repr=False)

    @property
    def model(self) -> Compiled:
        assert self.compiled is not None, f"{self.name} has no model: `MODEL` of its kind is false"
        return self.compiled

    def input(self, *kinds: str) -> Input:
        """The one input of a kind, or of one of several, that READS promises."""
        return next(i for i in self.inputs if i.kind in kinds)

    @property
    def saves(self) -> Path:
        """Where to keep what only an unfinished stage needs; gone once the stage is done."""
        return self.folder / SAVES

    def finish(self, result: dict[str, Any]) -> None:
        """Leave the figures that later stages and the report read."""
        (self.folder / RESULT).write_bytes(to_json(result))


RESULT = "result.json"
SAVES = "saves"
