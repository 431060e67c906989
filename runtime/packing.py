"""Fill rows of one length with documents, wasting as little as a greedy rule can.

The rule: take the largest document that still fits in the row; when none fits, fill the row with the head
of the shortest and drop its rest. So every row is full and starts with the start of a document.
Knows nothing of text, files or torch: a document is an array of ids, and two numbers say where it came from.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

Source = tuple[int, int]  # where a document came from; whoever adds it knows what the two numbers mean
UNKNOWN: Source = (-1, -1)


class BestFit:
    """Documents that wait for a place in a row of `row_tokens`; a few thousand at most are meant to wait."""

    def __init__(self, row_tokens: int) -> None:
        assert row_tokens > 0, row_tokens
        self.row_tokens = row_tokens
        self._arrivals = 0
        self._keys: list[tuple[int, int]] = []  # (tokens, -arrival), sorted
        self._documents: dict[int, np.ndarray] = {}  # by arrival, int32
        self._sources: dict[int, Source] = {}  # by arrival
        self.taken: list[Source] = []  # whose documents the last row was made of

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, document: Sequence[int] | np.ndarray, source: Source = UNKNOWN) -> None:
        assert len(document) > 0, "a document holds at least its bos"
        insort(self._keys, (len(document), -self._arrivals))
        self._documents[self._arrivals] = np.asarray(document, dtype=np.int32)
        self._sources[self._arrivals] = source
        self._arrivals += 1

    def next_row(self, refill: Callable[[], None] = lambda: None) -> np.ndarray:
        """A row of `row_tokens` ids; a shorter one, or an empty one, only when no document waits any more.

        `refill` is called before each choice, so that the choice is always made among many.
        """
        pieces: list[np.ndarray] = []
        self.taken = []
        room = self.row_tokens
        while room > 0:
            refill()
            if not self._keys:
                break
            pieces.append(self._choose(room))
            room -= len(pieces[-1])
        return np.concatenate([np.empty(0, np.int32), *pieces])

    def _choose(self, room: int) -> np.ndarray:
        shortest = self._keys[0][0]
        return self._take(max(room, shortest))[:room]

    def _take(self, most: int) -> np.ndarray:
        """Remove the largest document of at most `most` tokens; of equals, the one that came first."""
        place = bisect_right(self._keys, (most, 1)) - 1  # arrivals count downwards, so the first is the last
        _, arrival = self._keys.pop(place)
        self.taken.append(self._sources.pop(-arrival))
        return self._documents.pop(-arrival)

    def state(self) -> dict[str, np.ndarray]:
        """The waiting documents in order of arrival: their ids end to end, their lengths and their sources."""
        return self.told()()

    def told(self) -> Callable[[], dict[str, np.ndarray]]:
        """The state as it is now, for whoever may ask for it later: to keep it costs next to nothing."""
        documents, sources = dict(self._documents), dict(self._sources)

        def state() -> dict[str, np.ndarray]:
            waiting = [documents[arrival] for arrival in sorted(documents)]
            of = [sources[arrival] for arrival in sorted(sources)]
            return {
                "sources": np.array(of, dtype=np.int64).reshape(-1, 2),
                "tokens": np.concatenate([np.empty(0, np.int32), *waiting]),
                "lengths": np.array([len(document) for document in waiting], dtype=np.int64),
            }

        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Let the documents of `state` wait instead of the present ones."""
        ends = np.cumsum(state["lengths"])
        self._arrivals, self._keys, self._documents, self._sources = 0, [], {}, {}
        sources = state.get("sources", np.full((len(ends), 2), -1))  # saves of before this was kept
        for start, end, (first, second) in zip(ends - state["lengths"], ends, sources.tolist(), strict=True):
            self.add(state["tokens"][start:end], (first, second))


def fit_whole(lengths: Sequence[int], row_tokens: int, *, buffer: int) -> list[list[int]]:
    """Plan rows of whole documents: of `buffer` that wait, always the largest that still fits; none is cut.

    `lengths` are tokens of each document, at most `row_tokens`; returns the documents of each row, by number.
    """
    assert all(0 < length <= row_tokens for length in lengths), "a document fits a row"
    rows: list[list[int]] = []
    waiting: list[tuple[int, int]] = []  # (tokens, -number), sorted
    coming = iter(enumerate(lengths))
    while True:
        row: list[int] = []
        room = row_tokens
        while True:
            for number, length in islice(coming, buffer - len(waiting)):
                insort(waiting, (length, -number))
            place = bisect_right(waiting, (room, 1)) - 1  # of equals, the one that came first
            if place < 0:
                break
            length, number = waiting.pop(place)
            row.append(-number)
            room -= length
        if not row:
            return rows
        rows.append(row)
