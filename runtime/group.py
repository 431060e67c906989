"""Questions that are at work at once: what their options begin with is read once, and each option on from there.

Each question has a row of one past. Rows whose starts are of about one length are read side by side, and so are ways
on that are of about one length; which are is found by counting positions. Knows nothing of memory and its limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define, field, frozen
from torch import Tensor

from runtime.decoding.past import Past
from runtime.questions import Question, Score
from runtime.reading import Reader

SPREAD = 0.8  # of the longest shared start in a pass: the others are read as far as the shortest one goes
LOGITS = 2**26  # of one pass

# B rows, T positions, V ids, N scored ids


@frozen
class Way:
    """Ids that are read after what a question's options share, and the options that are scored on them."""

    ids: tuple[int, ...]
    options: tuple[int, ...]  # their numbers: options that differ in the last id alone are read alike


@frozen
class Row:
    """A question's place in the past: how far its shared start is read there, and the ways on, the longest first."""

    number: int  # of the question
    question: Question
    depth: int
    ways: tuple[Way, ...]

    @classmethod
    def of(cls, number: int, question: Question, depth: int) -> Row:
        found: dict[tuple[int, ...], list[int]] = {}
        for place, option in enumerate(question.options):
            found.setdefault(option.ids[depth:-1], []).append(place)
        ways = [Way(ids, tuple(options)) for ids, options in found.items()]
        return cls(number, question, depth, tuple(sorted(ways, key=lambda way: -len(way.ids))))

    @property
    def rest(self) -> int:
        """Positions of the longest way on."""
        return len(self.ways[0].ids)

    def turn(self, number: int) -> Way:
        """The way on that is read in that turn: there may be none."""
        return self.ways[number] if number < len(self.ways) else Way((), ())


@define(eq=False)
class Group:
    """Questions at work; a pass has `passed` positions, and costs as much besides as `least` of them."""

    reader: Reader
    questions: Sequence[Question]
    passed: int
    least: int
    rows: list[Row] = field(init=False, factory=list)
    past: Past = field(init=False)

    def __attrs_post_init__(self) -> None:
        blocks = sorted(self._alike(), key=lambda block: block[-1].rest)
        self.rows = [row for block in blocks for row in block]
        deepest, longest = max(row.depth for row in self.rows), max(row.rest for row in self.rows)
        self.past = self.reader.past(len(self.rows), deepest + longest)
        first = 0
        for block in blocks:
            self._read(first, block)
            first += len(block)

    def _alike(self) -> Iterator[list[Row]]:
        """Rows that are read in one pass, by what is left of each: they share starts of about one length."""
        shared = [question.shared for question in self.questions]
        waiting = sorted(range(len(shared)), key=shared.__getitem__, reverse=True)
        while waiting:
            longest = shared[waiting[0]]
            most = max(1, self.passed // max(1, longest))
            block = [number for number in waiting[:most] if shared[number] >= SPREAD * longest]
            depth = shared[block[-1]]
            rows = [Row.of(number, self.questions[number], depth) for number in block]
            yield sorted(rows, key=lambda row: row.rest)
            waiting = waiting[len(block) :]

    def _read(self, first: int, block: list[Row]) -> None:
        """Read what the options of each question begin with, in passes of about one size."""
        depth = block[0].depth
        ids = torch.tensor([row.question.options[0].ids[:depth] for row in block])
        passes = max(1, round(depth * len(block) / self.passed))
        step = max(1, -(-depth // passes))
        for start in range(0, depth, step):
            self.reader.read(self.past, (first, first + len(block)), start, ids[:, start : start + step])

    def scores(self) -> list[list[Score]]:
        """Read every option on, and score it."""
        kept = [(leaf, leaf.clone()) for leaf, whole in self.past.leaves() if not whole]
        found: dict[tuple[int, int], Score] = {}
        most = min(self.passed, LOGITS // self.reader.blueprint["vocab"])
        for turn in range(max(len(row.ways) for row in self.rows)):
            sizes = [len(row.turn(turn).ids) for row in self.rows]
            for first, last in cheapest_runs(sizes, most=most, least=self.least):
                for leaf, copy in kept:
                    leaf[first:last].copy_(copy[first:last])
                made = self._read_on(first, last, turn)
                found |= self._score(made, self.rows[first:last], turn)
        return [
            [found[number, place] for place in range(len(question.options))]
            for number, question in enumerate(self.questions)
        ]

    def _read_on(self, first: int, last: int, turn: int) -> Any:
        rows, device = self.rows[first:last], self.reader.device
        longest = max(len(row.turn(turn).ids) for row in rows)
        padded = [[*row.turn(turn).ids, *[0] * (longest - len(row.turn(turn).ids))] for row in rows]
        depths = torch.tensor([row.depth for row in rows])[:, None]
        positions = (depths + torch.arange(longest)).to(device)
        view = self.past.between(first, last, max(row.depth for row in rows) + longest)
        return self.reader.layers(torch.tensor(padded, device=device), positions, view)

    def _score(self, made: Any, rows: list[Row], turn: int) -> dict[tuple[int, int], Score]:
        """The scores of all options that are scored on the way of this turn, by question and option."""
        keys: list[tuple[int, int]] = []
        scored: list[tuple[int, int, int, int]] = []  # row, place, id, and whose it is
        for number, row in enumerate(rows):
            for place in row.turn(turn).options:
                option = row.question.options[place]
                before = option.start - 1 - row.depth
                scored += [
                    (number, before + n, wanted, len(keys))
                    for n, wanted in enumerate(option.ids[option.start :])
                ]
                keys.append((row.number, place))
        at, places, targets, owners = torch.tensor(scored, device=self.reader.device).unbind(1)
        logits = self.reader.logits(made, at, places)
        return dict(zip(keys, _scored(logits, targets, owners, len(keys)), strict=True))


def _scored(logits: Tensor, targets: Tensor, owners: Tensor, count: int) -> list[Score]:
    """The scores of `count` options from logits (N, V), targets (N), and whose each is."""
    nats = F.cross_entropy(logits, targets, reduction="none").double()
    missed = (logits.argmax(-1) != targets).double()
    sums = torch.zeros(3, count, dtype=torch.float64, device=targets.device)
    sums.index_add_(1, owners, torch.stack((nats, torch.ones_like(nats), missed)))
    return [Score(n, int(tokens), not wrong) for n, tokens, wrong in sums.T.tolist()]


def cheapest_runs(sizes: Sequence[int], *, most: int, least: int) -> list[tuple[int, int]]:
    """Cut rows of these sizes into runs, each padded to its longest, so that they cost the least in all.

    A run costs its padded positions, of which it has `most` at most unless it is of one row, and `least` besides.
    Rows of no size are in no run of their own.
    """
    costs, firsts = [0], [0]
    for last in range(1, len(sizes) + 1):
        longest, found = 0, []
        for first in reversed(range(last)):
            longest = max(longest, sizes[first])
            padded = (last - first) * longest
            if padded > most and last - first > 1:
                break
            found.append((costs[first] + padded + (least if longest else 0), first))
        cost, first = min(found)
        costs.append(cost)
        firsts.append(first)
    runs, last = [], len(sizes)
    while last:
        first = firsts[last]
        if any(sizes[first:last]):
            runs.append((first, last))
        last = first
    return runs[::-1]
