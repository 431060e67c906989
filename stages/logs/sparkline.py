"""A row of small bars for a row of numbers. Knows nothing of what they are of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import isfinite

BARS = "▁▂▃▄▅▆▇█"
OFF = 0.1  # of the bars, at either end, that do not set the scale: the first losses would flatten all others


def sparkline(values: Sequence[float], width: int, scale: tuple[float, float] | None = None) -> str:
    """At most `width` bars, each the mean of as many values; what is no number is left out.

    Several that are compared have one `scale`: what the lowest bar stands for, and the highest.
    """
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return ""
    means = shrunk(finite, width)
    low, high = scale or scale_of(means)
    span = high - low
    if span <= 0:
        return BARS[0] * len(means)
    steps = (min(max((value - low) / span, 0.0), 1.0) for value in means)
    return "".join(BARS[round(step * (len(BARS) - 1))] for step in steps)


def scale_of(values: Sequence[float]) -> tuple[float, float]:
    """Between which values most of them lie."""
    ordered = sorted(values)
    off = int(len(ordered) * OFF)
    return ordered[off], ordered[-1 - off]


def shrunk(values: Sequence[float], count: int) -> list[float]:
    """At most `count` values in place of many: means of parts of even length."""
    count = max(1, min(count, len(values)))
    edges = [len(values) * n // count for n in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
