"""Figures that were measured several times: the median, and between which bounds it moved. Knows nothing of what is measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from attrs import asdict, frozen


@frozen
class Figure:
    """One figure: what a clock or a counter gave, and how sure that is."""

    median: float
    low: float
    high: float
    samples: int
    unit: str
    more_is_better: bool = True

    @classmethod
    def of(cls, values: Sequence[float], unit: str, *, more_is_better: bool = True) -> Figure:
        assert values, "something was measured"
        return cls(statistics.median(values), min(values), max(values), len(values), unit, more_is_better)

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Figure:
        return cls(**kept)

    def kept(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def spread(self) -> float:
        """How far it moved, as a share of the median."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0

    def changed(self, before: Figure) -> float:
        """By what share it is more than it was."""
        return self.median / before.median - 1 if before.median else 0.0

    def beyond_noise(self, before: Figure) -> bool | None:
        """Whether the bounds of both times lie apart; None where either was measured once and has none."""
        if min(self.samples, before.samples) < 2:
            return None
        return self.low > before.high or self.high < before.low


def alternately(*runs: Callable[[], float], times: int) -> list[float]:
    """The best rate of each of several, run in turn after one round to warm up: others may use the machine too."""
    for run in runs:
        run()
    return [max(rates) for rates in zip(*([run() for run in runs] for _ in range(times)), strict=True)]
