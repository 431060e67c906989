"""Which is ahead, as a table: the last and the best figure of each run, and all of them where each has spent as much."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from nanogen.views.figures import columns, seconds_text
from stages.comparing.curve import AXES, Curve, lower_is_better
from stages.comparing.gather import Compared
from stages.logs.headline import spelled
from stages.logs.sparkline import scale_of, shrunk, sparkline
from stages.printable import printable

SPARK = 40  # characters
EQUAL = {"step": "steps", "tokens": "tokens", "flops": "FLOPs", "time": "time"}


@frozen
class Standing:
    """The runs where each has spent as much on an axis as the one that spent least."""

    axis: str
    spent: float
    values: tuple[float, ...]

    def ahead(self, figure: str) -> tuple[int, float, float] | None:
        """Which is best, by how much before the next, and which share of the next that is; None where two are level."""
        order = sorted(
            range(len(self.values)), key=lambda n: self.values[n], reverse=not lower_is_better(figure)
        )
        best, after = (self.values[n] for n in order[:2])
        lead = abs(best - after)
        return (order[0], lead, lead / abs(after) if after else 0.0) if lead else None


def standings(curves: Sequence[Curve]) -> list[Standing]:
    """One for each axis that all logs know: at the largest value that all of them reach."""
    found = []
    for axis in AXES if len(curves) > 1 else ():
        ends = [curve.most(axis) for curve in curves]
        if any(end is None for end in ends):
            continue
        least = min(end for end in ends if end is not None)
        values = [curve.at(axis, least) for curve in curves]
        known = [value for value in values if value is not None]
        if len(known) == len(curves):
            found.append(Standing(axis, least, tuple(known)))
    return found


def text(compared: Compared) -> str:
    """All of it for a terminal."""
    curves, _figure = compared.curves, compared.figure
    parts = [title(compared), columns(summary(compared), right=True)]
    rows = equal(compared)
    if rows:
        parts += ["", "where each has spent as much:", columns(rows)]
    width = max(len(c.label) for c in curves)
    parts += ["", *(f"{printable(c.label):<{width}}  {_spark(c, curves)}" for c in curves)]
    parts += [f"note: {note}" for note in compared.notes]
    return "\n".join(parts)


def title(compared: Compared) -> str:
    better = "lower is better" if lower_is_better(compared.figure) else "higher is better"
    smooth = "" if compared.curves[0].checked else ", smoothed"
    return f"{name(compared.figure)}, {better}{smooth}"


def name(figure: str) -> str:
    return spelled(figure.replace(".", " "))


def summary(compared: Compared) -> list[tuple[str, ...]]:
    """What each run reached, and what it spent."""
    rows: list[tuple[str, ...]] = [("", "last", "best", "steps", "tokens", "FLOPs", "time")]
    for curve in compared.curves:
        spent = [_spent(axis, curve.most(axis)) for axis in AXES]
        rows.append((printable(curve.label), _value(curve.last), _value(curve.best), *spent))
    return rows


def equal(compared: Compared) -> list[tuple[str, ...]]:
    """The runs beside each other, a row for each thing that is spent."""
    found = standings(compared.curves)
    if not found:
        return []
    labels = [printable(curve.label) for curve in compared.curves]
    rows: list[tuple[str, ...]] = [("", "each", *labels, "ahead")]
    for standing in found:
        told = "level"
        if (first := standing.ahead(compared.figure)) is not None:
            place, lead, share = first
            told = f"{labels[place]} by {_value(lead)}" + (f" ({share:.1%})" if share else "")
        values = map(_value, standing.values)
        rows.append((EQUAL[standing.axis], _spent(standing.axis, standing.spent), *values, told))
    return rows


def _value(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"


def _spent(axis: str, spent: float | None) -> str:
    if spent is None:
        return "-"
    if axis == "time":
        return seconds_text(spent)
    return f"{spent:.3g}" if axis == "flops" else f"{spent:,.0f}"


def _spark(curve: Curve, curves: Sequence[Curve]) -> str:
    """Its course, as long beside the others as what it spent, where that is known."""
    axis = next((a for a in ("tokens", "step") if all(c.most(a) for c in curves)), None)
    share = 1.0
    if axis is not None:
        longest = max(c.most(axis) or 0.0 for c in curves)
        share = (curve.most(axis) or 0.0) / longest
    bars = max(2, round(SPARK * share))
    return sparkline(shrunk(curve.smooth, bars), bars, scale_of([v for c in curves for v in c.smooth]))
