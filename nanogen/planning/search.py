"""Find the whole number at which a count comes closest to one that is wanted. Knows nothing of what is counted.

The count may be refused at some numbers (heads that do not split), and those are passed over. Where all that
was counted rises, or falls, the wanted number is enclosed and halved down to neighbours; where it does
neither, numbers at even distances are counted, and then all around the best of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from attrs import frozen

HIGHEST = 10**7  # no size of a model is larger
REACH = 256  # numbers tried on each side for one that is counted
AROUND = 32  # numbers tried on each side of the best, for counts that dip between others
SCAN = 400  # numbers of a scan
TRIES = 4000  # numbers in all; a spec takes one to four milliseconds

Count = Callable[[int], float | None]


@frozen
class Found:
    """The closest number, what was counted there, and how it was found."""

    value: int
    count: float
    counted: int  # numbers that had a count
    tried: int  # numbers in all
    scanned: tuple[int, int] | None  # the range of a scan: between its numbers others may be closer
    flat: bool  # all that was counted is equal


def closest(count: Count, wanted: float, start: int) -> Found:
    """Return the number from 1 whose count is closest to `wanted`, and closest to `start` among equals."""
    search = _Search(count, wanted)
    assert search.at(start) is not None, "the search starts where there is a count"
    low, high = search.enclose(start)
    scanned = None
    if not search.halve(low, high) or not search.ordered():
        scanned = (1, max(4 * start, *search.counts()))
        search.scan(*scanned)
    search.around(search.best(start))
    value, counts = search.best(start), search.counts()
    flat = len(set(counts.values())) == 1
    return Found(value, counts[value], len(counts), len(search.memo), scanned, flat)


class _Search:
    def __init__(self, count: Count, wanted: float):
        self.count, self.wanted = count, wanted
        self.memo: dict[int, float | None] = {}

    def at(self, value: int) -> float | None:
        if value not in self.memo and len(self.memo) < TRIES:
            self.memo[value] = self.count(value)
        return self.memo.get(value)

    def counts(self) -> dict[int, float]:
        return {value: count for value, count in self.memo.items() if count is not None}

    def best(self, start: int) -> int:
        counts = self.counts()
        return min(counts, key=lambda v: (abs(counts[v] - self.wanted), abs(v - start), v))

    def ordered(self) -> bool:
        """Whether all that was counted rises, or falls."""
        counts = self.counts()
        inner = [counts[v] for v in sorted(counts)]
        return inner in (sorted(inner), sorted(inner, reverse=True))

    def near(self, middle: int, low: int, high: int) -> int | None:
        """The number nearest to `middle`, strictly between two others, that has a count."""
        for value in _outwards(middle, low + 1, high - 1, REACH):
            if self.at(value) is not None:
                return value
        return None

    def enclose(self, start: int) -> tuple[int, int]:
        """Go from the start until the wanted count lies between two that were counted, or nothing is left."""
        ends = {side: self.stride(start, side) for side in (+1, -1)}
        here = abs(self.counts()[start] - self.wanted)
        gains = {side: here - abs(self.counts()[end] - self.wanted) for side, end in ends.items() if end}
        for side, gain in gains.items():
            end = (
                ends[side] if gain == max(gains.values()) else None
            )  # elsewhere leads away, if it is ordered
            while end is not None and self.pair() is None:
                end = self.stride(end, side)
        return self.pair() or (start, start)

    def stride(self, end: int, side: int) -> int | None:
        """The next number that is counted, at twice or half of this one, or nearer where none is there."""
        step = end if side > 0 else (end + 1) // 2
        low, high = (end, HIGHEST + 1) if side > 0 else (0, end)
        while step:
            found = self.near(end + side * step, low, high)
            if found is not None:
                return found
            step //= 2
        return None

    def pair(self) -> tuple[int, int] | None:
        """Neighbours whose counts enclose the wanted one."""
        counts = self.counts()
        for low, high in pairwise(sorted(counts)):
            below, above = sorted((counts[low], counts[high]))
            if below <= self.wanted <= above:
                return low, high
        return None

    def halve(self, low: int, high: int) -> bool:
        """Close in on the wanted count; False where a count lies outside those around it."""
        while low < high and (middle := self.near((low + high) // 2, low, high)) is not None:
            counts = self.counts()
            a, between, b = counts[low], counts[middle], counts[high]
            if not min(a, b) <= between <= max(a, b):
                return False
            if (between <= self.wanted) == (a <= b):
                low = middle
            else:
                high = middle
        return True

    def scan(self, low: int, high: int) -> None:
        step = max(1, (high - low) // SCAN)
        for value in range(low, high + 1, step):
            self.at(value)
        best = self.best(low)
        for value in _outwards(best, max(1, best - step), best + step, SCAN):
            self.at(value)

    def around(self, middle: int) -> None:
        for value in _outwards(middle, max(1, middle - AROUND), min(HIGHEST, middle + AROUND), AROUND):
            self.at(value)


def _outwards(middle: int, low: int, high: int, reach: int) -> Iterator[int]:
    """Numbers of a range from the middle to its ends."""
    for distance in range(reach + 1):
        for value in (middle - distance, middle + distance)[: 2 if distance else 1]:
            if low <= value <= high:
                yield value


def largest(fits: Callable[[int], bool | None], most: int) -> int | None:
    """The largest number from 1 to `most` that fits, where those below one that fits do too; None where none does.

    What has no answer (None) is passed over.
    """
    low, high = 0, most + 1  # the first fits, or nothing is known below it; the second does not
    while high - low > 1:
        middle = (low + high) // 2
        found = next(
            (
                (n, answer)
                for n in _outwards(middle, low + 1, high - 1, REACH)
                if (answer := fits(n)) is not None
            ),
            None,
        )
        if found is None:
            break
        low, high = (found[0], high) if found[1] else (low, found[0])
    return low or None
