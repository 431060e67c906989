"""A part of a task: from one row to another. Knows nothing of which task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from runtime.chat.message import Message
from runtime.faults import Fault
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, Task


@frozen
class Part:
    """The rows of a task from `start` on, before `stop`."""

    task: Task
    start: int
    stop: int

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def kind(self) -> Kind:
        return self.task.kind

    @property
    def baseline(self) -> float:
        return self.task.baseline

    @property
    def files(self) -> tuple[Path, ...]:
        return self.task.files

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.task[self.start + index]

    def score(self, example: Example, answer: Message) -> float:
        task: Any = self.task
        assert task.kind != "conversation", f"`{self.name}` has no right answers"
        return task.score(example, answer)


def file_row(task: Task, index: int) -> tuple[int, tuple[Path, ...]]:
    """The row of a task's files that an example is, from 0, and these files; of made-up ones, its number."""
    if isinstance(task, Part):
        return file_row(task.task, task.start + index)
    if isinstance(task, RowTask):  # rows of public data are taken in another order
        return task.number(index), task.files
    return index, ()


def part(task: Task, *, start: int = 0, stop: int | None = None, rows: int | None = None) -> Task:
    """The task itself, or a part of it; raises Fault where the task has no such rows."""
    end = len(task) if stop is None else stop
    if start >= len(task) or end > len(task) or end <= start:
        message = f"`{task.name}` has {len(task):,} rows, and rows {start:,} to {end:,} were asked for"
        raise Fault(message, "ask for rows that it has")
    if rows is not None:
        if rows > end - start:
            message = f"`{task.name}` has {end - start:,} rows here, and `rows` is {rows:,}"
            raise Fault(message, "leave `rows` out to take all; `epochs` takes them again")
        end = start + rows
    return task if (start, end) == (0, len(task)) else Part(task, start, end)
