"""What a model makes of many questions: the summed loss of each option's scored ids, and whether all are the likeliest.

The ids that a question's options begin with are read once, into a past of its own; then each option is read on from
there, and logits are computed from there on alone. Questions of like length are read side by side. The figures are
those of a plain pass over each option by itself, but for the order of sums. Knows nothing of text.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define, field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from runtime.batches import IGNORED
from runtime.decoding.past import Past
from runtime.dials import Dials
from runtime.model import Blueprint
from runtime.primitives import Now
from runtime.questions import Question, Score

HELD = {"cpu": 8_192, "cuda": 65_536}  # positions of the questions that are at work at once
PASS = {"cpu": 512, "cuda": 16_384}  # positions of one pass: on a CPU, what its caches hold
LOGITS = 2**26  # of one pass
LEAST = 256  # positions at work; below these there is nothing left to halve
SPREAD = 0.8  # of the longest shared start in a pass: the others are read as far as the shortest one goes

# B rows, T positions, V ids


class Pool:
    """Memory for one past after the other. To free it each time would leave holes that the next does not fit."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._given = 0

    def rewind(self) -> None:
        """Give the same memory again."""
        self._given = 0

    def zeros(self, *shape: int, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """Memory of that shape: zeros, or what was left there."""
        size = math.prod(shape)
        if self._given == len(self._blocks):
            self._blocks.append(torch.empty(0, dtype=dtype, device=device))
        block = self._blocks[self._given]
        if block.numel() < size or block.dtype != dtype:
            # the old one goes first
            self._blocks[self._given] = block = torch.empty(0, dtype=dtype, device=device)
            self._blocks[self._given] = block = torch.zeros(size * 5 // 4, dtype=dtype, device=device)
        self._given += 1
        return block[:size].view(shape)


@define(eq=False, slots=False)  # slots would leave no room for the cached property
class Scorer:
    """A model that scores questions; `dials` says where it stands."""

    model: nn.Module
    blueprint: Blueprint
    dtype: torch.dtype = torch.float32
    dials: Dials = field(factory=dict)
    held: int = (
        0  # positions at work: what suits the device unless given, and halved where memory is too small
    )
    passed: int = field(init=False)
    device: torch.device = field(init=False)
    _writes: int = field(init=False, default=0)  # to the past, of one pass
    _pool: Pool = field(init=False, factory=Pool)

    def __attrs_post_init__(self) -> None:
        self.device = next(self.model.parameters()).device
        self.held = self.held or HELD.get(self.device.type, HELD["cpu"])
        self.passed = PASS.get(self.device.type, PASS["cpu"])
        with torch.no_grad():
            self._writes = self._count_writes()

    @torch.no_grad()  # and not in inference mode, where tensors do not count their versions
    def score(
        self, questions: Sequence[Question], done: Callable[[int], None] = lambda count: None
    ) -> list[list[Score]]:
        """Return the scores of each question's options; `done` is told how many questions have theirs.

        Raises what torch raises where memory is too small for even a few positions.
        """
        found: dict[int, list[Score]] = {}
        sizes = [(question.shared, question.longest) for question in questions]
        waiting = sorted(range(len(questions)), key=sizes.__getitem__, reverse=True)
        while waiting:
            group = self._next(waiting, questions)
            try:
                scores = _Group(self, [questions[number] for number in group]).scores()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.held <= LEAST:
                    raise
                self.held //= 2
                continue
            found.update(zip(group, scores, strict=True))
            waiting = waiting[len(group) :]
            done(len(found))
        return [found[number] for number in range(len(questions))]

    def _next(self, waiting: list[int], questions: Sequence[Question]) -> list[int]:
        """The questions to be at work next: as many as may be, and one at least."""
        longest, count = 0, 0
        for number in waiting:
            longest = max(longest, questions[number].longest)
            if count and (count + 1) * longest > self.held:
                break
            count += 1
        group = waiting[:count]
        if 2 * questions[group[-1]].shared > self.passed:  # each is read by itself, and in any order
            group.sort(key=lambda number: questions[number].longest - questions[number].shared)
        return group

    # -- passes

    def past(self, rows: int, capacity: int) -> Past:
        """An empty past; what an earlier one held at places of its own is left there, for a mask hides it."""
        self._pool.rewind()
        past = Past(
            self.blueprint, rows, capacity, self.dtype, self.device, self.dials, make=self._pool.zeros
        )
        for leaf, whole in past.leaves():
            if not whole:
                leaf.zero_()
        return past

    def now(self, ids: Tensor, positions: Tensor, past: Any) -> Now:
        rows = torch.zeros_like(ids[:, :1])  # what a model draws follows from the positions alone
        return Now.start(ids, self.dtype, positions, past, self.dials, rows=rows)

    def read(self, past: Past, view: Any, ids: Tensor, positions: Tensor) -> None:
        """Read ids for what the past keeps of them; what a pass would do after that is left out."""
        try:
            with _Until(past, self._writes):
                self.model(ids, self.now(ids, positions, view))
        except _Kept:
            pass

    def layers(self, ids: Tensor, positions: Tensor, view: Any) -> Any:
        """What logits are made of, or all logits where a model's do not come apart."""
        model: Any = self.model
        return (model._layers if self._apart else model)(ids, self.now(ids, positions, view))

    def logits(self, made: Any, rows: Tensor, places: Tensor) -> Tensor:
        """Logits (N, V) in float32 at some rows and places of what `layers` made."""
        if not self._apart:
            return made[rows, places].float()
        model: Any = self.model
        return model._logits(*(_picked(part, rows, places) for part in made))[0].float()

    @cached_property
    def _apart(self) -> bool:
        """Whether logits are made of values at their own position alone, and can be made for some positions."""
        logits = getattr(self.model, "_logits", None)
        return logits is not None and "now" not in inspect.signature(logits).parameters

    def _count_writes(self) -> int:
        past = Past(self.blueprint, 1, 2, self.dtype, self.device, self.dials)
        ids = torch.zeros(1, 2, dtype=torch.int64, device=self.device)
        before = _versions(past)
        self.model(ids, self.now(ids, torch.arange(2, device=self.device)[None], past.tree))
        return _versions(past) - before


@define(eq=False)
class _Group:
    """Questions at work: a row of the past each, and how far it has been read there."""

    scorer: Scorer
    questions: list[Question]
    depths: list[int] = field(init=False, factory=list)
    rests: list[int] = field(init=False)  # ids of the longest way on from there
    past: Past = field(init=False)

    def __attrs_post_init__(self) -> None:
        blocks = list(self._like())
        for first, last in blocks:
            self.depths += [min(q.shared for q in self.questions[first:last])] * (last - first)
        ways = zip(self.questions, self.depths, strict=True)
        self.rests = [question.longest - 1 - depth for question, depth in ways]
        self.past = self.scorer.past(len(self.questions), max(self.depths) + max(self.rests))
        for first, last in blocks:
            self._read(first, last)

    def _like(self) -> Iterator[tuple[int, int]]:
        """Runs of rows that are read in one pass: they share starts of about one length."""
        shared = [question.shared for question in self.questions]
        first = 0
        while first < len(shared):
            last = first + max(1, self.scorer.passed // max(1, shared[first]))
            alike = [length >= SPREAD * shared[first] for length in shared[first:last]]
            last = first + (alike.index(False) if False in alike else len(alike))
            yield first, last
            first = last

    def _read(self, first: int, last: int) -> None:
        """Read what the options of each question begin with."""
        ids = torch.tensor([q.options[0].ids[: self.depths[first]] for q in self.questions[first:last]])
        depth = self.depths[first]
        passes = max(
            1, round(depth * (last - first) / self.scorer.passed)
        )  # of one size: no small one is left
        step = max(1, -(-depth // passes))
        for start in range(0, depth, step):
            piece = ids[:, start : start + step].to(self.scorer.device)
            end = start + piece.shape[1]
            positions = torch.arange(start, end, device=self.scorer.device)[None]
            self.scorer.read(self.past, self.past.between(first, last, end), piece, positions)

    def scores(self) -> list[list[Score]]:
        """Read every option on, and score it."""
        kept = [(leaf, leaf.clone()) for leaf, whole in self.past.leaves() if not whole]
        found: list[list[Score]] = [[] for _ in self.questions]
        for first, last in self._passes():
            read, made = torch.empty(0), None
            for number in range(max(len(q.options) for q in self.questions[first:last])):
                ids, targets = self._way(first, last, number)
                # options of one id each differ in what is scored, and not in what is read
                if not torch.equal(ids, read):
                    for leaf, copy in kept:
                        leaf[first:last].copy_(copy[first:last])
                    read, made = ids, self._read_on(first, last, ids)
                rows_scored, places = (targets != IGNORED).nonzero(as_tuple=True)
                logits = self.scorer.logits(made, rows_scored, places)
                scores = _scored(logits, targets[rows_scored, places], rows_scored, last - first)
                for row, score in enumerate(scores, first):
                    if number < len(self.questions[row].options):
                        found[row].append(score)
        return found

    def _passes(self) -> Iterator[tuple[int, int]]:
        """Runs of rows that are read on in one pass."""
        most = min(self.scorer.passed, LOGITS // self.scorer.blueprint["vocab"])
        first = 0
        while first < len(self.rests):
            last, longest = first + 1, self.rests[first]
            while last < len(self.rests):
                longest = max(longest, self.rests[last])
                if (last + 1 - first) * longest > most:
                    break
                last += 1
            yield first, last
            first = last

    def _way(self, first: int, last: int, number: int) -> tuple[Tensor, Tensor]:
        """What is read of an option after what its question has shared, and what is scored; padded to one length."""
        read, scored = [], []
        for question, depth in zip(self.questions[first:last], self.depths[first:last], strict=True):
            option = question.options[min(number, len(question.options) - 1)]
            targets = [IGNORED] * (option.start - 1 - depth) + list(option.ids[option.start :])
            read.append(list(option.ids[depth:-1]))
            scored.append(targets)
        longest = max(map(len, read))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in read])
        targets = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in scored])
        return ids.to(self.scorer.device), targets.to(self.scorer.device)

    def _read_on(self, first: int, last: int, ids: Tensor) -> Any:
        depths = torch.tensor(self.depths[first:last], device=ids.device)[:, None]
        positions = depths + torch.arange(ids.shape[1], device=ids.device)
        view = self.past.between(first, last, max(self.depths[first:last]) + ids.shape[1])
        return self.scorer.layers(ids, positions, view)


def _picked(made: Any, rows: Tensor, places: Tensor) -> Any:
    """Values (B, T, ..) at some rows and places, as (1, N, ..); in whatever they are kept."""
    if isinstance(made, dict):
        return {name: _picked(part, rows, places) for name, part in made.items()}
    return made[rows, places][None] if isinstance(made, Tensor) and made.ndim > 1 else made


def _scored(logits: Tensor, targets: Tensor, rows: Tensor, count: int) -> list[Score]:
    """The score of each of `count` rows from logits (N, V), targets (N), and the row of each."""
    nats = F.cross_entropy(logits, targets, reduction="none").double()
    missed = (logits.argmax(-1) != targets).double()
    sums = torch.zeros(3, count, dtype=torch.float64, device=targets.device)
    sums.index_add_(1, rows, torch.stack((nats, torch.ones_like(nats), missed)))
    return [Score(n, int(tokens), not wrong) for n, tokens, wrong in sums.T.tolist()]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch says that memory is too small; of a CPU's it says so in words alone."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


# -- passes that end early


class _Kept(Exception):
    """The past holds all that a pass keeps."""


class _Until(TorchFunctionMode):
    """Ends a pass once it has written to the past as often as a whole one does.

    What comes after that serves logits alone: of the last layer, all but its keys and values.
    """

    def __init__(self, past: Past, writes: int):
        super().__init__()
        self._leaves = [leaf for leaf, _ in past.leaves()]
        self._end = _versions(past) + writes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if sum(leaf._version for leaf in self._leaves) == self._end:
            raise _Kept
        return func(*args, **(kwargs or {}))


def _versions(past: Past) -> int:
    """How often the past has been written to."""
    return sum(leaf._version for leaf, _ in past.leaves())
