"""What each step of a run is made with: the learning-rate multiplier, Muon's momentum, the multiplier of its decay.

Knows nothing of optimizers, models, files or of how the three are found: each is a function of the step.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen


def always(value: float) -> Callable[[int], float]:
    """The function of the step that is one number."""
    return lambda step: value


@frozen
class Schedule:
    """Three functions of the step, the first step being 0; unsaid, they stand still."""

    steps: int
    rate: Callable[[int], float] = field(factory=lambda: always(1.0))
    momentum_at: Callable[[int], float] = field(factory=lambda: always(0.95))
    decay_at: Callable[[int], float] = field(factory=lambda: always(1.0))
