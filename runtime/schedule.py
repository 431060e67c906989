"""Say the learning-rate multiplier and the Muon momentum of each step of a run.

Knows nothing of optimizers, models or data: numbers in, numbers out. With N = steps, step s = 0 .. N-1,
Python's round, and ratios of the run for warmup and warmdown:

    U = round(warmup * N)                                       steps of warmup
    D = min(max(round(warmdown * N), 10), N - U)                steps of warmdown; 0 if warmdown is 0
    rate(s) = min(1, (s+1) / U) * (final + (1 - final) * min(1, (N-s) / D))

    R = min(momentum_ramp, N - 1)                               steps of the momentum ramp
    momentum_at(s) = start + (end - start) * min(1, s / R)      end if R is 0

A term with a zero divisor is 1. This is the recipe of 2025 wherever the run is long enough: the rate from 50
steps on (at the default warmdown), the momentum from 301. The floor of 10 and the cap N - 1 are for shorter
runs: without them a run of 4 steps would end at the full rate, and one of 100 a third up its momentum ramp.
The last step's rate is final + (1 - final) / D: a step at a rate of exactly 0 would be wasted. `warmdown=1`
falls linearly over the whole run, as in supervised tuning.
"""

from __future__ import annotations

from attrs import frozen

from runtime.faults import Fault

SHORTEST_WARMDOWN = 10  # steps; the last rate is then within a tenth of the final one


@frozen
class Schedule:
    """Learning-rate multiplier and momentum by step; the formulas stand at the top of this file."""

    steps: int
    warmup: float = 0.0  # ratio of the run
    warmdown: float = 0.2  # ratio of the run
    final: float = 0.0  # multiplier towards which the warmdown falls
    momentum_start: float = 0.85
    momentum: float = 0.95
    momentum_ramp: int = 300  # steps

    def __attrs_post_init__(self) -> None:
        if self.steps < 1:
            raise Fault(f"the run has {self.steps} steps", "a schedule needs at least 1")
        if self.momentum_ramp < 0:
            raise Fault(f"the momentum ramp is {self.momentum_ramp} steps", "0 means no ramp")
        if min(self.warmup, self.warmdown) < 0 or self.warmup + self.warmdown > 1:
            raise Fault(
                f"warmup {self.warmup} and warmdown {self.warmdown} do not fit in one run",
                "they are ratios of the run: each at least 0, their sum at most 1",
            )

    def rate(self, step: int) -> float:
        """Give the multiplier of every learning rate at `step`, the first being 0."""
        self._check(step)
        down = fraction(self.steps - step, self._warmdown_steps())
        return fraction(step + 1, self._warmup_steps()) * (self.final + (1 - self.final) * down)

    def momentum_at(self, step: int) -> float:
        """Give Muon's momentum at `step`, the first being 0."""
        self._check(step)
        done = fraction(step, min(self.momentum_ramp, self.steps - 1))
        return (1 - done) * self.momentum_start + done * self.momentum

    def _warmup_steps(self) -> int:
        return round(self.warmup * self.steps)

    def _warmdown_steps(self) -> int:
        if self.warmdown == 0:
            return 0
        wanted = max(round(self.warmdown * self.steps), SHORTEST_WARMDOWN)
        return min(wanted, self.steps - self._warmup_steps())

    def _check(self, step: int) -> None:
        assert 0 <= step < self.steps, f"step {step} of a run of {self.steps}"


def fraction(count: int, whole: int) -> float:
    """Give count / whole, at most 1; a phase of no steps is over."""
    return min(1.0, count / whole) if whole else 1.0
