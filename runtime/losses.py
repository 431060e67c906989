"""Loss of each token, and bits per byte: a measure that no tokenizer can flatter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import torch
from attrs import frozen
from torch import Tensor, nn

from runtime.batches import IGNORED, Batch, stand_in
from runtime.chunks import Chunks, cross_entropy
from runtime.dials import Dials
from runtime.primitives import Now
from runtime.ranks import ALONE, Ranks


class TokenLosses(Protocol):
    """inputs (B, T), targets (B, T), perhaps a seed and row numbers, and where the dials stand -> nats (B, T).

    With `weights` (B, T) the nats are multiplied by them, and it is their sum that gradients will be asked of: what
    knows that beforehand makes them with the losses. A sum of the result is then all that may go backward.
    """

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        seed: Tensor | None = None,
        rows: Tensor | None = None,
        *,
        dials: Dials | None = None,
        weights: Tensor | None = None,
    ) -> Tensor: ...


def as_it_is(step: Callable[..., Any]) -> Callable[..., Any]:
    return step


def token_losses(
    model: nn.Module,
    dtype: torch.dtype,
    compiled: Callable[..., Any] = as_it_is,
    ending: dict[str, Any] | None = None,
) -> TokenLosses:
    """Return the function that gives the cross-entropy of every target in nats, 0 where it is ignored.

    A model that draws is trained with a seed, and with the numbers (B, 1) of rows that are some of a micro-batch;
    without a seed it is evaluated. `ending` is what the blueprint says of
    what follows the layers, where that comes apart by position: the loss is then made some positions at a time, for
    the logits are the largest values there are. `compiled` is applied to the loss with that, or with all of a model
    that has no layers.
    """
    halves: Any = model
    layered = hasattr(model, "_layers")
    chunks = Chunks(model, ending, dtype, compiled) if layered and ending is not None else None

    def score(left: tuple[Any, ...], targets: Tensor) -> Tensor:
        return cross_entropy(halves._logits(*left) if layered else model(*left), targets)

    scored = compiled(score)

    def losses(
        inputs: Tensor,
        targets: Tensor,
        seed: Tensor | None = None,
        rows: Tensor | None = None,
        *,
        dials: Dials | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        trained: Any = {} if seed is None else {"training": True, "seed": seed, "rows": rows}
        now = Now.start(inputs, dtype, dials=dials, **trained)
        left = halves._layers(inputs, now) if layered else (inputs, now)
        if chunks is not None:
            return chunks.losses(left, targets, weights)
        nats = scored(left, targets)
        return nats if weights is None else nats * weights

    return losses


@frozen
class Measured:
    """The loss of many targets, in two units."""

    nats_per_token: float  # over all targets that are not ignored
    bits_per_byte: (
        float  # Σ nats / (ln 2 · Σ bytes) over those that stand for bytes; special tokens count in neither
    )


def measure(
    losses: TokenLosses, batches: Iterable[Batch], token_bytes: Tensor, ranks: Ranks = ALONE
) -> Measured:
    """The loss of all targets; infinite where there are none. Of several ranks each takes every so manieth batch.

    `token_bytes` (V,) is the number of bytes of each id, on the device of the batches.
    """
    mine = _mine(batches, ranks)
    nats, tokens, byte_nats, count = ranks.measured(lambda: _sums(losses, mine, token_bytes), 4)
    return Measured(
        nats / tokens if tokens else math.inf, byte_nats / (math.log(2) * count) if count else math.inf
    )


def _mine(batches: Iterable[Batch], ranks: Ranks) -> Iterator[Batch]:
    """Those of a rank; where the others have one more, one in which nothing counts: some have to compute in step."""
    coming = iter(batches)
    while together := list(islice(coming, ranks.count)):
        if ranks.rank < len(together):
            yield together[ranks.rank]
        else:
            yield stand_in(together[0])


def _sums(
    losses: TokenLosses, batches: Iterable[Batch], token_bytes: Tensor
) -> tuple[float, float, float, float]:
    """Nats and targets; nats and bytes of those that stand for bytes."""
    nats, tokens, byte_nats, count = 0.0, 0, 0.0, 0
    for inputs, targets in batches:
        # with gradients on, though none is taken: the training step's compiled code is used as it is
        found = losses(inputs, targets).detach().double()
        size = torch.where(targets == IGNORED, 0, token_bytes[targets.clamp(min=0)])
        nats += float(found.sum())
        tokens += int((targets != IGNORED).sum())
        byte_nats += float((found * (size > 0)).sum())
        count += int(size.sum())
    return nats, tokens, byte_nats, count


def bits_per_byte(
    losses: TokenLosses, batches: Iterable[Batch], token_bytes: Tensor, ranks: Ranks = ALONE
) -> float:
    """The second unit alone: a measure that no tokenizer can flatter."""
    return measure(losses, batches, token_bytes, ranks).bits_per_byte
