"""One training step after another: model, optimizer, schedule and loader moved together, saved together.

Knows nothing of files, stages or how progress is shown.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from attrs import define, evolve, field, frozen
from torch import Tensor, nn

from runtime.ahead import Ahead
from runtime.batches import IGNORED, Batch, stand_in
from runtime.dials import Declared, Dials, draw_dials
from runtime.faults import Fault, TooLarge, is_out_of_memory
from runtime.finite import Holds, bad_gradient, bad_loss, bad_rows, bad_weights, first_not_finite
from runtime.float8 import Switch, to_float8
from runtime.losses import TokenLosses, token_losses
from runtime.optimizer import Optimizer
from runtime.ranks import ALONE, Ranks
from runtime.regions import compile_regions, compiled
from runtime.schedule import Schedule
from runtime.sharded import ShardedOptimizer
from runtime.shares import even_share, share_of_step, smaller
from runtime.streams import seed_of

if TYPE_CHECKING:
    from runtime.weight_shards import WeightShards


class Batches(Protocol):
    """What training needs of a loader: batches without end, and their place in the stream."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def state(self) -> dict[str, np.ndarray]: ...
    def restore(self, state: dict[str, np.ndarray]) -> None: ...
    def sources(self) -> Sequence[Sequence[Any]]:
        """What each row of the last batch holds, as the loader knows it."""
        ...

    def names(self, sources: Sequence[Any]) -> list[str]:
        """The same in words, for messages."""
        ...


@frozen
class StepResult:
    """What one optimizer step did."""

    step: int  # from 0
    loss: float  # mean nats over the supervised tokens of the whole step
    tokens: int  # supervised
    seconds: float
    rate: float  # multiplier of the learning rates
    dials: tuple[Dials, ...]  # where they stood, by micro-batch
    waited: float = 0.0  # seconds of those above, for batches of the loader


@frozen(eq=False)
class _Read:
    """The batches of a step as the loader gave them, and what their rows hold."""

    batches: list[Batch]
    held: list[Sequence[Any]]

    def cut(self, rows: int) -> tuple[list[Batch], list[Sequence[Any]]]:
        """The same rows in the same order, so many in each."""
        if all(len(inputs) == rows for inputs, _ in self.batches):
            return self.batches, self.held
        inputs, targets = (torch.cat(parts) for parts in zip(*self.batches, strict=True))
        held = [row for sources in self.held for row in sources]
        starts = range(0, len(inputs), rows)
        batches = [(inputs[start : start + rows], targets[start : start + rows]) for start in starts]
        return batches, [held[start : start + rows] for start in starts]


@define
class Trainer:
    """A model being trained. `step` counts the optimizer steps already made."""

    model: nn.Module
    optimizer: Optimizer | ShardedOptimizer  # of `ranks`, where there are several
    schedule: Schedule
    loader: Batches | None  # None: whoever trains hands the batches of each step in
    accumulation: int  # micro-batches a step that come from the loader
    dtype: torch.dtype
    device: str
    compiled: bool
    regions: Sequence[str] = ()  # paths of the modules that are compiled each by itself
    large: Sequence[str] = ()  # paths of the linear maps that may multiply in 8 bits
    dials: Declared = field(factory=dict)
    draws: bool = False  # whether the model draws random numbers: each micro-batch has a seed of its own
    ending: dict[str, Any] | None = None  # of the model, where it comes apart by position
    seed: int = 0  # of all that training draws
    step: int = 0
    rows: int = 0  # of a micro-batch that comes from the loader; 0: as many as that gives
    ranks: Ranks = (
        ALONE  # each computes its share of a step, and all have the weights that follow from all of it
    )
    shards: WeightShards | None = None  # of the model, where ranks keep parts of its weights
    losses: TokenLosses = field(init=False)
    float8: Switch | None = field(default=None, init=False)
    _reads: int = field(init=False)  # batches of the loader a step, however they are cut
    _kept: _Read | None = field(default=None, init=False)  # of a step that did not fit the memory
    _rows: dict[int, Tensor] = field(factory=dict, init=False)  # of micro-batches of which this rank has some

    def __attrs_post_init__(self) -> None:
        self._reads = self.accumulation
        if self.compiled:
            compile_regions(self.model, self.regions)
            self.losses = token_losses(self.model, self.dtype, compiled, ending=self.ending)
        else:
            self.losses = token_losses(self.model, self.dtype, ending=self.ending)

    def use_float8(self) -> None:
        """Multiply large linear maps in 8 bits from now on, in training steps and nowhere else."""
        self.float8 = to_float8(self.model, self.large, self.device)

    def move(self, batch: Batch) -> Batch:
        return batch[0].to(self.device), batch[1].to(self.device)

    def seeds(self, micro: int) -> tuple[Tensor, ...]:
        """The seed of a micro-batch, where the model draws: a tensor, so that no step is compiled anew."""
        if not self.draws:
            return ()
        seed = torch.tensor(seed_of(self.seed, "draws", self.step, micro), device=self.device)
        return (seed, self._rows[micro]) if micro in self._rows else (seed,)

    @property
    def step_rows(self) -> int:
        """Rows of a whole step that come from the loader."""
        return self.rows * self.accumulation

    def cut(self, rows: int) -> None:
        """Compute so many rows at once from here on; a step stays what it is."""
        assert self.step_rows % rows == 0, f"{self.step_rows} rows of a step do not split into {rows}"
        self.rows, self.accumulation = rows, self.step_rows // rows
        if isinstance(self.optimizer, ShardedOptimizer):
            self.optimizer.met = False  # what is compiled for other rows takes one rank longer than another

    def smaller(self) -> int | None:
        """The next smaller micro-batch, with which each rank computes at most half as many rows at once."""
        return smaller(self.step_rows, self.rows, self.ranks.count, whole=self.draws)

    def run_step(self) -> StepResult:
        """Make one optimizer step on the next batches of the loader.

        Raises TooLarge where the memory does not hold its micro-batches: the next call, for which they may have been
        cut smaller, makes the same step of the same batches.
        """
        start = time.perf_counter()
        assert self.loader is not None, "a trainer without a loader learns from batches that are handed in"
        loader = self.loader
        read, self._kept = self._kept or self._read(loader), None
        waited = time.perf_counter() - start
        batches, held = read.cut(self.rows)
        share = self.share()
        mine = [self._part(batches[micro], rows) for micro, rows in share.items()]
        kept = [held[micro][rows] or held[micro][:1] for micro, rows in share.items()]

        def holds(micro: int, rows: Sequence[int]) -> list[str]:
            return loader.names([source for row in rows for source in kept[micro][row]])

        try:
            return evolve(self.learn(mine, start=start, holds=holds, micros=list(share)), waited=waited)
        except TooLarge:
            self._kept = read
            raise

    def _read(self, loader: Batches) -> _Read:
        """The batches of a step; every rank reads them all: they are what one process would read."""
        batches, held = [], []
        for _ in range(self._reads):
            batches.append(next(loader))
            held.append(loader.sources())
        self.rows = self.rows or len(batches[0][0])
        return _Read(batches, held)

    def share(self) -> dict[int, slice]:
        """Which rows of which micro-batches this rank computes; where the model draws, by rows, none is taken apart.

        Ranks that keep parts of the weights compute in step with each other, each layer and turn at the same time.
        """
        ranks, rows = self.ranks, self.rows
        if self.shards is None:
            return share_of_step(self.accumulation, rows, ranks.rank, ranks.count, whole=self.draws)
        share = even_share(self.accumulation, rows, ranks.rank, ranks.count, whole=not self.dials)
        numbers = torch.arange(rows, device=self.device)[:, None]
        self._rows = {
            micro: numbers[part] if len(numbers[part]) else numbers[:1] for micro, part in share.items()
        }
        return share

    def _part(self, batch: Batch, rows: slice) -> Batch:
        """Some rows of a batch; where these are none, what a rank computes while others have some."""
        part = (batch[0][rows], batch[1][rows])
        return part if len(part[0]) else stand_in(batch)

    def learn(
        self,
        batches: Sequence[Batch],
        weights: Sequence[Tensor] | None = None,
        dials: Dials | None = None,
        *,
        tokens: int | None = None,
        start: float | None = None,
        holds: Holds | None = None,
        micros: Sequence[int] | None = None,
    ) -> StepResult:
        """Make one optimizer step; a loss or a gradient that is not finite stops before the weights change.

        The loss is the mean over all supervised tokens of the step, however they fall on micro-batches. `weights`
        (rows, length), one tensor a batch, multiply the loss of each token first: with advantages, that is the
        policy gradient. `dials` that are not given are drawn, each micro-batch its own. `tokens` is what the sum of
        losses is divided by, where the batches do not hold all that the mean is over. `holds` says what rows are made
        of, where one of them has to be named. Of several ranks each hands in its own batches and tokens, and
        `micros`: their numbers in the whole step. Where the memory of any rank is too small for its batches, all
        raise TooLarge before the weights change: that rides along with the losses, so no step waits for it.
        """
        start = time.perf_counter() if start is None else start
        if tokens is None:
            tokens = sum(int((targets != IGNORED).sum()) for _, targets in batches)
        several = self.optimizer if isinstance(self.optimizer, ShardedOptimizer) else None
        patient = self.loader is None or (several is not None and not several.met)
        (tokens,) = map(int, self.ranks.total(tokens, patient=patient))
        whole = range(max(len(batches), 1) if micros is None else self.accumulation)
        numbers = self._numbers(len(batches)) if micros is None else micros
        stand = [self._dials(dials, number) for number in numbers]
        found = self._backward(batches, weights, stand, numbers, 1 / max(tokens, 1))
        if found is None:
            let_go_of_memory()  # that of the errors which told of it is let go of by now
            if several is None:
                self.optimizer.zero_grad()
                raise TooLarge
        if several is not None:
            several.arrive()
        total = self._checked(found, holds) if found is not None else 0.0
        if several is not None:
            total = several.collect(total, failed=found is None)
        self._check_gradients(total, [len(inputs) for inputs, _ in batches], holds)
        rate = self.schedule.rate(self.step)
        self.optimizer.step(rate, self.schedule.momentum_at(self.step), self.schedule.decay_at(self.step))
        self.optimizer.zero_grad()
        placed = tuple(self._dials(dials, micro) for micro in whole)
        result = StepResult(self.step, total, tokens, time.perf_counter() - start, rate, placed)
        self.step += 1
        return result

    def _backward(
        self,
        batches: Sequence[Batch],
        weights: Sequence[Tensor] | None,
        dials: Sequence[Dials],
        numbers: Sequence[int],
        each: float,
    ) -> list[Tensor] | None:
        """Gradients of all micro-batches, added up; returns their losses, or None where the memory is too small."""
        several = self.optimizer if isinstance(self.optimizer, ShardedOptimizer) else None
        found: list[Tensor] = []
        try:
            for at, (inputs, targets) in enumerate(map(self.move, batches)):
                share = torch.full(targets.shape, each, device=targets.device)
                if weights is not None:
                    share = share * weights[at].to(self.device)
                with self.float8.turned_on() if self.float8 is not None else nullcontext():
                    losses = self.losses(
                        inputs, targets, *self.seeds(numbers[at]), dials=dials[at], weights=share
                    )
                if several is not None and at == len(batches) - 1:
                    several.overlap()
                losses.sum().backward()
                found.append(losses.detach())
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or self.shards is not None:  # others wait for this rank's parts
                raise
            return None
        return found

    def _checked(self, found: Sequence[Tensor], holds: Holds | None) -> float:
        """The loss of a step, behind all its backward passes: the device is waited for once."""
        values = torch.stack([losses.sum() for losses in found]).tolist() if found else []
        for micro, value in enumerate(values):
            if not math.isfinite(value):
                self.optimizer.zero_grad()
                raise bad_loss(self.step, value, micro, len(found), bad_rows(found[micro]), holds)
        return float(sum(values))

    def _numbers(self, count: int) -> list[int]:
        """Of batches that are handed in, numbers that no other rank has."""
        return [self.ranks.rank + n * self.ranks.count for n in range(count)]

    def _check_gradients(self, loss: float, sizes: Sequence[int], holds: Holds | None) -> None:
        """On CUDA too: one pass over the gradients, and one wait for the device a step."""
        if isinstance(self.optimizer, ShardedOptimizer):
            name = first_not_finite(self.optimizer.gradients())
        else:
            name = first_not_finite((name, p.grad) for name, p in self.model.named_parameters())
        if name is not None:
            self.optimizer.zero_grad()
            raise bad_gradient(self.step, loss, name, sizes, holds)

    def check_weights(self) -> None:
        """Raise before weights are saved that no model can compute with."""
        named = self.model.named_parameters() if self.shards is None else self.shards.parts()
        name = first_not_finite(named)
        if name is not None:
            raise bad_weights(self.step, name)

    def _dials(self, given: Dials | None, micro: int) -> Dials:
        if given is not None:
            return given
        return draw_dials(self.dials, seed=self.seed, step=self.step, micro=micro)

    def close(self) -> None:
        """End what prepares batches, if anything does."""
        if isinstance(self.loader, Ahead):
            self.loader.close()

    def weights(self) -> dict[str, Tensor]:
        """All weights; where ranks keep parts of them all ask, and the first gets them."""
        return dict(self.model.named_parameters()) if self.shards is None else self.shards.weights()

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take other weights; raises Fault where names or shapes differ."""
        if self.shards is None:
            load_weights(self.model, weights)
        else:
            self.shards.load(weights)

    def held(self) -> dict[str, Tensor]:
        """The weights that this rank holds: the live tensors."""
        return dict(self.model.named_parameters()) if self.shards is None else dict(self.shards.parts())

    def groups(self) -> dict[str, dict[str, Tensor]]:
        """All tensors that the coming steps depend on, by group; of several ranks all ask, and the first gets them."""
        place = self.loader.state() if self.loader is not None else {}
        return {
            "weights": self.weights(),
            "optimizer": self.optimizer.state(),
            "loader": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in place.items()},
        }

    def restore(self, step: int, groups: dict[str, dict[str, Tensor]]) -> None:
        """Go on from a save, bit for bit."""
        self.step, self._kept = step, None
        self.load(groups["weights"])
        self.optimizer.restore(groups["optimizer"])
        if self.loader is not None:
            self.loader.restore({name: t.numpy() for name, t in groups["loader"].items()})


def let_go_of_memory() -> None:
    """Hand back what errors and caches hold, so that less may fit where more did not."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into a model; raises Fault where names or shapes differ."""
    mine: dict[str, Any] = dict(model.named_parameters())
    if differing := sorted(mine.keys() ^ weights.keys()):
        message = f"{len(differing)} tensors do not pair up with the model: `{differing[0]}` and more"
        raise Fault(message, "load the weights with the spec they were trained with")
    with torch.no_grad():
        for name, tensor in weights.items():
            if mine[name].shape != tensor.shape:
                message = f"`{name}` is {tuple(mine[name].shape)} in the model and {tuple(tensor.shape)} in the file"
                raise Fault(message, "load the weights with the spec they were trained with")
            mine[name].copy_(tensor)
