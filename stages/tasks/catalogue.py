"""The tasks by name; each is a file here, imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from attrs import frozen

from nanogen.text.diagnostics import nearest
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.task import Kind, Task


@frozen
class Entry:
    """Where a task is made, and what may be said of it besides its split."""

    module: str
    kind: Kind
    options: tuple[str, ...]
    maker: str = "make"
    made_up: bool = False  # as many rows as are asked for
    data: str | None = None  # the data set that it is made of


TASKS = {
    "arc_easy": Entry("arc", "choice", ("path",), data="arc"),
    "arc_challenge": Entry("arc", "choice", ("path",), data="arc"),
    "mmlu": Entry("mmlu", "choice", ("path",), data="mmlu"),
    "gsm8k": Entry("gsm8k", "generative", ("path",), data="gsm8k"),
    "humaneval": Entry("humaneval", "generative", ("path", "runner"), data="humaneval"),
    "jcommonsenseqa": Entry("jcommonsenseqa", "choice", ("path",), data="jcommonsenseqa"),
    "smoltalk": Entry("smoltalk", "conversation", ("path",), data="smoltalk"),
    "smoltalk_jp": Entry("smoltalk", "conversation", ("path",), data="smoltalk_jp"),
    "conversations": Entry("conversations", "conversation", ("path",)),
    "identity": Entry("identity", "generative", ("path", "rows", "languages", "values"), made_up=True),
    "spelling_bee": Entry("spelling", "generative", ("path", "rows", "words", "words_apart"), made_up=True),
    "simple_spelling": Entry(
        "spelling", "generative", ("path", "rows", "words"), "make_simple", made_up=True
    ),
    "arithmetic": Entry("arithmetic", "generative", ("rows", "digits", "operations"), made_up=True),
}


def task_entry(name: str) -> Entry:
    """What is known of a task; raises Fault for a name that is none."""
    if name not in TASKS:
        raise Fault(f"there is no task `{name}`", nearest(name, TASKS))
    return TASKS[name]


def make_task(name: str, split: str, place: DataPlace, **options: Any) -> Task:
    """A task over one of its splits; raises Fault for what there is not, with what to do.

    Options that are None are left to the task.
    """
    entry = task_entry(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in entry.options:
            raise Fault(f"the task `{name}` has no option `{option}`", _options_text(entry))
    module = importlib.import_module(f"stages.tasks.{entry.module}")
    return getattr(module, entry.maker)(name, split, place, **given)


def _options_text(entry: Entry) -> str:
    return "it has " + ", ".join(f"`{option}`" for option in entry.options)
