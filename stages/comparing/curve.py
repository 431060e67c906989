"""The course of one figure of one stage, over everything that was spent on it. Knows nothing of files or of drawing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from math import exp, isfinite
from typing import Any

from attrs import frozen

AXES = {"step": "step", "tokens": "tokens", "flops": "flops", "time": "seconds"}  # and its key in the log
VALIDATION = "validation."  # opens the name of a figure that steps have too
LOWER = ("loss", "bits_per_byte", "cut_off")  # figures that are better low; all others are better high

Event = dict[str, Any]


@frozen
class Curve:
    """A figure at its points. `spent` has for each axis where they lie, or nothing where the log does not say."""

    label: str
    figure: str
    checked: bool  # found by evaluations, and not by steps
    values: tuple[float, ...]
    spent: dict[str, tuple[float, ...]]
    window: float = 0.0  # steps that are averaged over

    @cached_property
    def smooth(self) -> tuple[float, ...]:
        """What steps found varies from batch to batch; what evaluations found is of the same text each time."""
        return self.values if self.checked else smoothed(self.values, self.spent["step"], self.window)

    @property
    def last(self) -> float:
        return self.smooth[-1]

    @property
    def best(self) -> float:
        return (min if lower_is_better(self.figure) else max)(self.smooth)

    def most(self, axis: str) -> float | None:
        """How much was spent in all."""
        return self.spent[axis][-1] if self.spent[axis] else None

    def at(self, axis: str, spent: float) -> float | None:
        """The smoothed value where so much was spent, between the two points around it; None beyond the ends."""
        places, values = self.spent[axis], self.smooth
        if not places or not places[0] <= spent <= places[-1]:
            return None
        after = bisect_right(places, spent)
        if after == len(places) or places[after - 1] == spent:
            return values[after - 1]
        left, right = places[after - 1], places[after]
        share = (spent - left) / (right - left)
        return values[after - 1] + share * (values[after] - values[after - 1])


def lower_is_better(figure: str) -> bool:
    return any(word in figure for word in LOWER)


def figures(events: Sequence[Event]) -> list[str]:
    """The figures that a log has a course of, those of evaluations first; what both have goes by two names."""
    found: dict[str, set[str]] = {"validation": set(), "step": set()}
    for event in events:
        known = found.get(str(event.get("kind")))
        if known is not None:
            known |= {
                k for k, v in event.items() if _is_number(v) and k not in ("step", *AXES.values(), "at")
            }
    both = found["validation"] & found["step"]
    return [
        *(VALIDATION + name if name in both else name for name in sorted(found["validation"])),
        *sorted(found["step"]),
    ]


def curve(label: str, events: Sequence[Event], figure: str) -> Curve | None:
    """The course of a figure in a log; None where the log has none of it."""
    name = figure.removeprefix(VALIDATION)
    of_steps = not figure.startswith(VALIDATION) and any(
        _is_step(e) and _is_number(e.get(name)) for e in events
    )
    points: list[tuple[float, dict[str, float]]] = []
    spent: dict[str, float] = {}
    for event in events:
        # a validation of an old log does not say the FLOPs: they are those of the steps before it
        spent = {**spent, **{a: event[k] for a, k in AXES.items() if _is_number(event.get(k))}}
        if _is_step(event) is of_steps and event.get("kind") in ("step", "validation"):
            value = event.get(name)
            if isinstance(value, int | float) and isfinite(value):
                points.append((float(value), spent))
    if not points:
        return None
    first = dict.fromkeys(AXES, 0.0) if not of_steps else {}
    known = {
        axis: all(axis in (at if n else {**first, **at}) for n, (_, at) in enumerate(points)) for axis in AXES
    }
    return Curve(
        label,
        figure,
        not of_steps,
        tuple(value for value, _ in points),
        {axis: tuple(at.get(axis, 0.0) for _, at in points) if known[axis] else () for axis in AXES},
    )


def smoothed(values: Sequence[float], steps: Sequence[float], window: float) -> tuple[float, ...]:
    """Running means that weigh what is `window` steps back a third of what is here, without the pull of the first.

    They lag behind a curve that falls; curves that are compared have one window, and lag alike.
    """
    if window <= 0 or len(steps) != len(values):
        return tuple(values)
    total = weight = 0.0
    found, before = [], steps[0] if steps else 0.0
    for value, step in zip(values, steps, strict=True):
        keep = exp(-max(0.0, step - before) / window)
        total, weight, before = total * keep + value, weight * keep + 1, step
        found.append(total / weight)
    return tuple(found)


def _is_step(event: Event) -> bool:
    return event.get("kind") == "step"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
