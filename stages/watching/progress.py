"""How far a training stage has come, how fast it goes and what it has found, from the events of its log."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import median
from typing import Any

from attrs import frozen

RECENT = 20  # logged steps that speed is told from
SHOWN = ("reward", "loss")  # what a step is looked at for; the first that it has
NOT_FOUND = ("kind", "step", "tokens", "flops", "seconds", "at")  # of a validation: the rest is what it found

Event = dict[str, Any]


@frozen
class Progress:
    """A stage's log so far. What the log does not tell is None."""

    steps: int | None  # in all
    step: int  # made
    parameters: int | None
    device: str
    gpu: str | None
    dtype: str
    float8: float  # the share of a step's matmuls that is in 8 bits
    shown: str  # the figure of a step that is looked at
    values: tuple[float, ...]  # of it
    validation: tuple[int, dict[str, float]] | None  # the step of the last evaluation, and what it found
    validated: tuple[float, ...]  # the first figure of every evaluation
    tokens: int
    seconds: float | None  # of training
    tokens_per_second: float | None
    flops_per_second: float | None
    left: float | None  # seconds


def progress(events: Sequence[Event]) -> Progress:
    """Read a log. A run that was cut off has gaps between its times, so speeds are medians over recent steps."""
    begin = next((e for e in events if e.get("kind") == "begin"), {})
    steps = [e for e in events if e.get("kind") == "step" and isinstance(e.get("step"), int)]
    checks = [e for e in events if e.get("kind") == "validation"]
    made = steps[-1]["step"] + 1 if steps else 0
    shown = next((name for name in SHOWN if steps and name in steps[-1]), "loss")
    total, recent = begin.get("steps"), steps[-RECENT - 1 :]
    per_step = _middle(_rates(recent, "step", "at")) or _middle(_rates(recent, "step", "seconds"))
    last = steps[-1] if steps else {}
    return Progress(
        steps=total,
        step=made,
        parameters=begin.get("parameters"),
        device=str(begin.get("device", "")),
        gpu=begin.get("gpu"),
        dtype=str(begin.get("dtype", "")),
        float8=begin.get("float8", 0.0),
        shown=shown,
        values=tuple(_numbers(steps, shown)),
        validation=(checks[-1].get("step", 0), _found(checks[-1])) if checks else None,
        validated=tuple(next(iter(_found(e).values()), float("nan")) for e in checks),
        tokens=last.get("tokens", 0),
        seconds=last.get("seconds"),
        tokens_per_second=_middle(_rates(recent, "seconds", "tokens")) or last.get("tokens_per_second"),
        flops_per_second=_middle(_rates(recent, "seconds", "flops")) or _alone(last),
        left=per_step * (total - made) if per_step and total is not None else None,
    )


def _rates(events: Sequence[Event], over: str, what: str) -> list[float]:
    """How much of `what` passed for each `over`, between neighbours."""
    pairs = itertools.pairwise(events)
    known = [(a, b) for a, b in pairs if all(key in e for e in (a, b) for key in (over, what))]
    return [(b[what] - a[what]) / (b[over] - a[over]) for a, b in known if b[over] > a[over]]


def _middle(rates: Sequence[float]) -> float | None:
    """Where nothing passed by the clock, nothing is known."""
    found = median(rates) if rates else 0.0
    return found if found > 0 else None


def _alone(event: Event) -> float | None:
    """The speed of the first steps, where there is only one event of them."""
    return event["flops"] / event["seconds"] if event.get("seconds") and event.get("flops") else None


def _numbers(events: Sequence[Event], name: str) -> Iterator[float]:
    for event in events:
        value = event.get(name)
        if isinstance(value, int | float) and isfinite(value):
            yield float(value)


def _found(event: Event) -> dict[str, float]:
    return {k: v for k, v in event.items() if k not in NOT_FOUND and isinstance(v, int | float)}
