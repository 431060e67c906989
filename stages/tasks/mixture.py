"""A mixture of tasks, as a run file declares it, to one shuffled sequence of examples of known length.

tasks = [
    { task = "smoltalk", rows = "10K" },
    { task = "gsm8k", epochs = 2 },
    { task = "identity", path = "facts.toml", rows = 1000 },
]
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve, frozen

from nanogen.bounds import OutOfBounds
from nanogen.structure import Count
from nanogen.text.diagnostics import nearest
from runtime.faults import Absent, Fault
from stages.choices import at_least, positive, quiet, setting
from stages.data.needs import Need, Noted, Wish
from stages.data.offline import is_offline
from stages.data.place import DataPlace
from stages.sources.files import file_facts
from stages.tasks.catalogue import TASKS, make_task, task_entry
from stages.tasks.part import file_row, part
from stages.tasks.task import Example, Task

NAME_SOME = 'name some: `tasks = [{ task = "gsm8k" }]`'
OPTIONS = ("path", "digits", "operations", "languages", "words", "words_apart")  # of some tasks only


@frozen
class _Known:
    """The setting is a name of the catalogue; an editor is told all of them, a user the nearest."""

    keywords: dict[str, Any]  # of JSON Schema, as bounds of settings have them

    def __call__(self, _: Any, attribute: attrs.Attribute, value: str) -> None:
        if value not in TASKS:
            raise OutOfBounds(
                f"`{attribute.name}` is no task there is, found `{value}`", nearest(value, TASKS)
            )


@frozen
class TaskSetting:
    """One task of a mixture."""

    task: str = setting("which task", validator=_Known({"enum": list(TASKS)}))
    split: str = setting("which of its splits", default="train")
    start: int = setting("the first row to take", default=0, validator=at_least(0))
    stop: int | None = setting("the row to stop before; unsaid, none", default=None, validator=positive)
    rows: Count | None = setting("how many rows to take; unsaid, all", default=None, validator=positive)
    epochs: int = setting("how often each row is taken", default=1, validator=positive)
    # what counts is the content, not where it lies
    path: str | None = quiet(
        "its file or folder, counting from the run file; unsaid, by its name", default=None
    )
    download: bool = quiet("fetch what is not here, as the run begins", default=False)
    digits: int | None = setting("arithmetic: of a number, at most", default=None, validator=positive)
    operations: str | None = setting("arithmetic: some of + - * /", default=None)
    languages: tuple[str, ...] = setting("identity: en, ja; unsaid, both", default=())
    words: str | None = setting("spelling: `common`, or the list `words_alpha`", default=None)
    words_apart: bool | None = setting("spelling_bee: keep some words for testing alone", default=None)

    def __attrs_post_init__(self) -> None:
        taken = task_entry(self.task).options
        for option in OPTIONS:
            if getattr(self, option) not in (None, ()) and option not in taken:
                fitting = [name for name, entry in TASKS.items() if option in entry.options]
                raise ValueError(f"`{option}` is not for the task {self.task}, but for {', '.join(fitting)}")
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"`stop` is {self.stop}, and `start` is {self.start}: no row lies between")

    @property
    def label(self) -> str:
        """How the task is called in counts: files are told apart."""
        named = f" {Path(self.path).name}" if self.path is not None else ""
        return f"{self.task}{named}" if self.split == "train" else f"{self.task}{named} ({self.split})"


def beside(settings: Sequence[TaskSetting], folder: Path) -> tuple[TaskSetting, ...]:
    """The settings with their paths counted from a folder."""
    return tuple(
        s if s.path is None else evolve(s, path=str(folder / Path(s.path).expanduser())) for s in settings
    )


def make_part(wanted: TaskSetting, place: DataPlace | None = None, **options: Any) -> Task:
    """The task of a setting, cut to its rows; raises Fault where something of it is missing."""
    place = place or DataPlace.here(download=wanted.download)
    options |= {option: getattr(wanted, option) or None for option in OPTIONS}
    if task_entry(wanted.task).made_up:  # as many rows as are taken
        options["rows"] = wanted.stop or (wanted.rows and wanted.start + wanted.rows)
    made = make_task(wanted.task, wanted.split, place, **options)
    return part(made, start=wanted.start, stop=wanted.stop, rows=wanted.rows)


@frozen(slots=False)
class Mixture:
    """Examples of several tasks, shuffled once by a seed: the same settings give the same sequence."""

    settings: tuple[TaskSetting, ...]
    tasks: tuple[Task, ...]
    seed: int

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(index)
        which, row = self.place(index)
        return self.tasks[which][row]

    def place(self, index: int) -> tuple[int, int]:
        """Which task an example is of, by number, and which row of it."""
        number = self._order[index]
        which = bisect_right(self._ends, number)
        first = self._ends[which - 1] if which else 0
        return which, (number - first) % len(self.tasks[which])

    def name(self, index: int) -> str:
        """An example in words: its task, and the row of the task's files where it has some."""
        which, row = self.place(index)
        place, found = file_row(self.tasks[which], row)
        files = ", ".join(path.name for path in found[:3])
        return f"`{self.settings[which].label}` row {place:,}{f' of {files}' if files else ''}"

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Examples of each task, repeats counted."""
        sizes = (s.epochs * len(task) for s, task in zip(self.settings, self.tasks, strict=True))
        return [(s.label, size) for s, size in zip(self.settings, sizes, strict=True)]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(size for _, size in self.counts))

    @cached_property
    def _order(self) -> list[int]:
        order = list(range(len(self)))
        random.Random(self.seed).shuffle(order)
        return order


def make_mixture(
    settings: Sequence[TaskSetting], *, seed: int = 42, place: DataPlace | None = None
) -> Mixture:
    """The mixture of some settings; raises Fault where any of it is missing."""
    if not settings:
        raise Fault("`tasks` is empty", NAME_SOME)
    return Mixture(tuple(settings), tuple(make_part(s, place) for s in settings), seed)


class TaskFault(Fault):
    """A fault of one task of a mixture; `row` is which, from 0."""

    def __init__(self, setting: str, row: int, message: str, help: str) -> None:
        super().__init__(f"`{setting}`: {message}", help)
        self.row = row


def check_tasks(
    settings: Iterable[TaskSetting],
    place: DataPlace | None = None,
    *,
    setting: str = "tasks",
    may_lack: bool = False,
) -> None:
    """Raise Fault for what will not work, before anything runs; what may be fetched is looked for when it is needed.

    With `may_lack`, a task whose rows are not here is none of it.
    """
    for row, wanted in enumerate(settings):
        comes = wanted.download and not is_offline()
        try:
            make_part(evolve(wanted, download=False), place or DataPlace.here())
        except Fault as fault:
            if not (isinstance(fault, Absent) and (comes or may_lack)):
                raise TaskFault(setting, row, fault.message, fault.help) from None


def needs_of_tasks(settings: Iterable[TaskSetting]) -> list[Wish]:
    """The named data that tasks read: what their finders ask for."""
    found = []
    for wanted in settings:
        notes: list[Need] = []
        if wanted.path is None:
            with suppress(Noted):
                make_part(wanted, DataPlace(notes=notes))
        found += [Wish(need, wanted.download) for need in notes]
    return found


def outside_tasks(settings: Iterable[TaskSetting], place: DataPlace | None = None) -> list[Any]:
    """What tasks read from outside the run: files by name, size and hash. What is not here yet counts for nothing."""
    facts = []
    for wanted in settings:
        try:
            files = make_part(wanted, place).files if not wanted.download else ()
        except Fault:
            files = ()
        facts.append([(path.name, *file_facts(path)) for path in files])
    return facts
