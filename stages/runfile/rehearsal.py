"""A rehearsal: every stage of a run by its own code, with a small model, little data and few steps.

A kind of stage says how it is made small, `rehearsal(settings, small)`. Data that is not at hand is stood in for by
made-up rows, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve, frozen

from nanogen.structure import Count
from runtime.faults import Fault
from stages.data.stand_in import folder_of
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import TaskSetting, make_part

SUFFIX = "-rehearsal"  # of the run's folder
WORDS = "words_alpha"  # the one list of words that does not ship
STEPS = 6  # of a stage that trains, at most


@frozen
class Small:
    """How small a rehearsal is, and where made-up data lies."""

    context: int  # tokens of a row: the model's
    stand_ins: Path
    characters: ClassVar[Count] = Count(1_000_000)  # of a corpus
    rows: ClassVar[int] = 2  # of a micro-batch
    learnt: ClassVar[Count] = Count(24)  # rows of a task that a stage learns from
    asked: ClassVar[Count] = Count(4)  # rows of a task that an evaluation asks
    core_rows: ClassVar[int] = 12  # more than the ten examples that come before some questions
    answer: ClassVar[int] = 16  # tokens

    @property
    def batch_tokens(self) -> Count:
        """Two micro-batches a step, so that they are put together as in the run itself."""
        return Count(2 * self.rows * self.context)

    def steps(self, wanted: int | None) -> int:
        return min(wanted or STEPS, STEPS)

    def stand_in(self, name: str) -> str:
        """The folder of a data set's made-up rows."""
        return str(folder_of(self.stand_ins, name))

    def tasks(self, wanted: Sequence[TaskSetting], rows: Count = learnt) -> tuple[TaskSetting, ...]:
        """A few rows of each task; made-up ones where its own are not here."""
        return tuple(self._task(one, rows) for one in wanted)

    def _task(self, wanted: TaskSetting, rows: Count) -> TaskSetting:
        few = evolve(wanted, rows=Count(min(wanted.rows or rows, rows)), download=False)
        data = task_entry(few.task).data
        if few.path is not None or (data is None and few.words is None):
            return few
        try:
            make_part(few)
        except Fault:
            place = self.stand_in(data) if data is not None else f"{self.stand_in(WORDS)}/{WORDS}.txt"
            return evolve(few, path=place, start=0, stop=None)
        return few


def rehearsed(kind: Any, settings: Any, small: Small) -> Any:
    """A stage's settings, made small; a kind that says nothing is small as it is."""
    make = getattr(kind, "rehearsal", None)
    return settings if make is None else make(settings, small)
