"""One training step after another: model, optimizer, schedule and loader moved together, saved together.

Knows nothing of files, stages or how progress is shown.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from runtime.ahead import Ahead
from runtime.batches import IGNORED, Batch, stand_in
from runtime.dials import Declared, Dials, draw_dials
from runtime.faults import Fault
from runtime.finite import Holds, bad_gradient, bad_loss, bad_rows, bad_weights, first_not_finite
from runtime.losses import TokenLosses, token_losses
from runtime.optimizer import Optimizer
from runtime.ranks import ALONE, Ranks
from runtime.regions import compile_regions, compiled
from runtime.schedule import Schedule
from runtime.sharded import ShardedOptimizer
from runtime.shares import even_share, share_of_step
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
    dials: Declared = field(factory=dict)
    draws: bool = False  # whether the model draws random numbers: each micro-batch has a seed of its own
    ending: dict[str, Any] | None = None  # of the model, where it comes apart by position
    seed: int = 0  # of all that training draws
    step: int = 0
    ranks: Ranks = (
        ALONE  # each computes its share of a step, and all have the weights that follow from all of it
    )
    shards: WeightShards | None = None  # of the model, where ranks keep parts of its weights
    losses: TokenLosses = field(init=False)
    _rows: dict[int, Tensor] = field(
        factory=dict, init=False
    )  # of micro-batches of which this rank has some rows

    def __attrs_post_init__(self) -> None:
        if self.compiled:
            compile_regions(self.model, self.regions)
            self.losses = token_losses(self.model, self.dtype, compiled, ending=self.ending)
        else:
            self.losses = token_losses(self.model, self.dtype, ending=self.ending)

    def move(self, batch: Batch) -> Batch:
        return batch[0].to(self.device), batch[1].to(self.device)

    def seeds(self, micro: int) -> tuple[Tensor, ...]:
        """The seed of a micro-batch, where the model draws: a tensor, so that no step is compiled anew."""
        if not self.draws:
            return ()
        seed = torch.tensor(seed_of(self.seed, "draws", self.step, micro), device=self.device)
        return (seed, self._rows[micro]) if micro in self._rows else (seed,)

    def run_step(self) -> StepResult:
        """Make one optimizer step on the next batches of the loader."""
        start = time.perf_counter()
        assert self.loader is not None, "a trainer without a loader learns from batches that are handed in"
        loader, batches, held = self.loader, [], []
        for _ in range(self.accumulation):  # every rank reads them all: they are what one process would read
            batches.append(next(loader))
            held.append(loader.sources())
        share = self._share(len(batches[0][0]))
        mine = [self._part(batches[micro], rows) for micro, rows in share.items()]
        kept = [held[micro][rows] or held[micro][:1] for micro, rows in share.items()]

        def holds(micro: int, rows: Sequence[int]) -> list[str]:
            return loader.names([source for row in rows for source in kept[micro][row]])

        return self.learn(mine, start=start, holds=holds, micros=list(share))

    def _share(self, rows: int) -> dict[int, slice]:
        """Which rows of which micro-batches this rank computes; where the model draws, by rows, none is taken apart.

        Ranks that keep parts of the weights compute in step with each other, each layer and turn at the same time.
        """
        ranks = self.ranks
        if self.shards is not None:
            share = even_share(self.accumulation, rows, ranks.rank, ranks.count, whole=not self.dials)
            numbers = torch.arange(rows, device=self.device)[:, None]
            self._rows = {
                micro: numbers[part] if len(numbers[part]) else numbers[:1] for micro, part in share.items()
            }
            return share
        return share_of_step(self.accumulation, rows, ranks.rank, ranks.count, whole=self.draws)

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
        `micros`: their numbers in the whole step.
        """
        start = time.perf_counter() if start is None else start
        moved = [self.move(batch) for batch in batches]
        if tokens is None:
            tokens = sum(int((targets != IGNORED).sum()) for _, targets in moved)
        several = self.optimizer if isinstance(self.optimizer, ShardedOptimizer) else None
        patient = self.loader is None or (several is not None and not several.met)
        (tokens,) = map(int, self.ranks.total(tokens, patient=patient))
        whole = range(max(len(moved), 1) if micros is None else self.accumulation)
        numbers = self._numbers(len(moved)) if micros is None else micros
        found: list[Tensor] = []
        for at, (inputs, targets) in enumerate(moved):
            stand = self._dials(dials, numbers[at])
            share = torch.full(targets.shape, 1 / max(tokens, 1), device=targets.device)
            if weights is not None:
                share = share * weights[at].to(self.device)
            losses = self.losses(inputs, targets, *self.seeds(numbers[at]), dials=stand, weights=share)
            if several is not None and at == len(moved) - 1:
                several.overlap()
            losses.sum().backward()
            found.append(losses.detach())
        if several is not None:
            several.arrive()
        total = self._checked(found, holds)
        if several is not None:
            total = several.collect(total)
        self._check_gradients(total, [len(inputs) for inputs, _ in moved], holds)
        rate = self.schedule.rate(self.step)
        self.optimizer.step(rate, self.schedule.momentum_at(self.step), self.schedule.decay_at(self.step))
        self.optimizer.zero_grad()
        placed = tuple(self._dials(dials, micro) for micro in whole)
        result = StepResult(self.step, total, tokens, time.perf_counter() - start, rate, placed)
        self.step += 1
        return result

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
        self.step = step
        self.load(groups["weights"])
        self.optimizer.restore(groups["optimizer"])
        if self.loader is not None:
            self.loader.restore({name: t.numpy() for name, t in groups["loader"].items()})


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
