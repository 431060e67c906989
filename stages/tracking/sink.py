"""What a tracker is to us: it opens a stage, takes its lines, closes it. And which trackers there are."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from stages.tracking.ledger import Mark

SINKS = {  # imported when used
    "tensorboard": "stages.tracking.tensorboard:TensorBoard",
    "wandb": "stages.tracking.wandb_sink:Wandb",
}
GROUPS = {"step": "train", "validation": "validation"}  # how kinds of events are called in a tracker
BESIDE = ("kind", "step", "at")  # of an event: the rest are its figures


@frozen
class Stage:
    """What a tracker is told of the stage that it opens."""

    run: str
    uses: str
    facts: dict[str, Any]  # the event that its log begins with
    resumed: bool


@frozen
class Line:
    """A line of a log: its number there, its step, when it was written, and its figures by their full names."""

    number: int
    step: int
    at: float
    figures: dict[str, float]


class Tracker(Protocol):
    """A stage that is open in a tracker. All of it may raise or take long."""

    def send(self, lines: Sequence[Line]) -> None: ...
    def close(self) -> None: ...


class Sink(Protocol):
    """A kind of tracker. `about` says in a line where it keeps what it gets, once that is known."""

    def new_id(self) -> str: ...
    def open(self, stage: Stage, mark: Mark) -> Tracker: ...
    def about(self) -> str: ...


def make_sink(name: str, folder: Path, *, offline: bool = False) -> Sink:
    """The sink of that name for a run's folder; raises what its package raises."""
    module, _, cls = SINKS[name].partition(":")
    return getattr(importlib.import_module(module), cls)(folder, offline)


def line(number: int, event: dict[str, Any]) -> Line | None:
    """An event as trackers take it; None where it has no figures."""
    group, step = GROUPS.get(str(event.get("kind"))), event.get("step")
    if group is None or not isinstance(step, int):
        return None
    figures = {f"{group}/{key}": value for key, value in _flat(event) if isfinite(value)}
    return Line(number, step, float(event.get("at") or 0.0), figures)


def _flat(event: dict[str, Any]) -> list[tuple[str, float]]:
    found = []
    for key, value in event.items():
        inner = value if isinstance(value, dict) else {"": value}
        for name, number in inner.items():
            if key not in BESIDE and isinstance(number, int | float):
                found.append((f"{key}/{name}" if name else key, float(number)))
    return found
