"""What steps wait for their batches: summed up, and told once where it is much. Knows nothing of what batches hold."""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import define, field

RECENT = 20  # steps
MUCH = 0.05  # of their time


@define
class Waiting:
    """The wait of all steps, over all parts of a run; that of recent ones, since this process began."""

    seconds: float = 0.0
    _recent: deque[tuple[float, float]] = field(factory=lambda: deque(maxlen=RECENT), init=False)
    _begun: bool = field(default=False, init=False)
    _told: bool = field(default=False, init=False)

    def add(self, waited: float, seconds: float) -> float | None:
        """Note one step; returns the share of recent ones, once, when it is much."""
        self.seconds += waited
        if not self._begun:  # the first of a process finds nothing prepared
            self._begun = True
            return None
        self._recent.append((waited, seconds))
        if self._told or len(self._recent) < RECENT:
            return None
        share = sum(w for w, _ in self._recent) / max(sum(s for _, s in self._recent), 1e-9)
        self._told = share > MUCH
        return share if self._told else None


def advice(share: float, loader: Any) -> str:
    """What to do about steps that wait."""
    from runtime.ahead import Ahead, cores

    told = f"the last {RECENT} steps waited for their batches for {share:.0%} of their time"
    if isinstance(loader, Ahead):
        return f"{told}: they are read ahead, on {cores()} cores; give the process more, or its data a faster disk"
    told += ", for all cores compute and none is left to read ahead"
    if share * cores() > 1:
        return f"{told}: `OMP_NUM_THREADS={cores() - 1}` leaves one"
    return f"{told}: with one more core they would be"
