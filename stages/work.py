"""What a stage is given: its settings, the folders it needs, and a folder to fill. And who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from nanogen.compiler import Compiled
from runtime.capacity import Capacity, capacity
from runtime.clock import join, split, stopped
from runtime.manifest import to_json
from runtime.plain_json import read_object
from runtime.ranks import ALONE, Ranks
from runtime.stopping import Stop

if TYPE_CHECKING:
    from stages.progress import Reporter


@frozen
class Input:
    """A stage that this one needs: its name, its kind, and its folder."""

    name: str
    kind: str
    folder: Path
    timed: bool = True  # False: as if no time had passed, for whoever compares two runs

    @property
    def done(self) -> bool:
        """Whether it has left its figures; a report is also made of stages that have not."""
        return (self.folder / RESULT).is_file()

    @property
    def result(self) -> dict[str, Any]:
        """The figures that the stage left."""
        found, clock = self.folder / RESULT, self.folder / CLOCK
        measured = read_object(clock) if clock.is_file() else {}
        return join(read_object(found), measured if self.timed else stopped(measured))


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
    stop: Stop = field(factory=Stop, repr=False)
    instead: Callable[[Any], None] | None = field(
        default=None, repr=False
    )  # of training: it is handed the session
    on: Capacity = field(factory=capacity)  # what the rows of a micro-batch are settled for
    ranks: Ranks = field(
        default=ALONE, repr=False
    )  # who else is at work on it; the first alone leaves anything

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
        """Leave the figures that later stages and the report read; those that a clock measured stand apart."""
        kept, clock = split(result)
        (self.folder / RESULT).write_bytes(to_json(kept))
        if clock:
            (self.folder / CLOCK).write_bytes(to_json(clock))


RESULT = "result.json"
CLOCK = "clock.json"
SAVES = "saves"
