"""Settings that are given and that nothing reads, as the other settings stand: each is a slip, and told as one.

A kind of stage says which those are, `idle(settings)`: the setting's name, why nothing reads it, and what to do.
Knows nothing of whether a setting that is read has a value that works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nanogen.text.diagnostics import Diagnostic, Place
from nanogen.text.locate import KeyPath
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import TaskSetting

Idle = Mapping[str, tuple[str, str]]  # name of a setting -> why nothing reads it, what to do


def unread(kind: Any, settings: Any, given: Mapping[str, Any], path: KeyPath) -> Iterator[Diagnostic]:
    """What of a stage's table `given`, which became `settings`, changes nothing."""
    tell = getattr(kind, "idle", None)
    yield from _told(tell(settings) if tell is not None else {}, given, path)
    for name, tables in given.items():
        found = getattr(settings, name, None)
        if isinstance(found, tuple) and found and isinstance(found[0], TaskSetting):
            for place, (task, table) in enumerate(zip(found, tables, strict=True)):
                yield from _told(idle_of_task(task), table, (*path, name, place))


def _told(idle: Idle, given: Mapping[str, Any], path: KeyPath) -> Iterator[Diagnostic]:
    for name, (why, help) in idle.items():
        if name in given:
            message = f"`{name}` changes nothing: {why}"
            yield Diagnostic("NG704", message, Place((*path, name), on_key=True), help=help)


def idle_of_task(wanted: TaskSetting) -> dict[str, tuple[str, str]]:
    """What of a task's table nothing reads."""
    idle, entry = {}, task_entry(wanted.task)
    if wanted.download and entry.data is None:
        idle["download"] = (f"nothing of the task {wanted.task} is on the Hub", "leave it out")
    elif wanted.download and wanted.path is not None:
        idle["download"] = ("the rows are read from `path`", "leave one of the two out")
    if wanted.words is not None and wanted.path is not None:
        idle["words"] = ("the words are read from `path`", "leave one of the two out")
    if wanted.task == "conversations" and wanted.split != "train":
        idle["split"] = ("files of conversations have no splits", "leave it out, and name another `path`")
    return idle


def idle_of_length(settings: Any) -> dict[str, tuple[str, str]]:
    """What nothing reads of the settings that say how long a stage trains on a mixture, and when it evaluates."""
    idle = {}
    if settings.steps is not None:
        idle["epochs"] = ("`steps` says how long to train", "leave one of `steps` and `epochs` out")
    if not settings.validation and settings.evaluate_every:
        idle["evaluate_every"] = ("there is nothing to evaluate on", "name a mixture as `validation`")
    return idle
