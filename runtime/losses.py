"""Loss of each token, and bits per byte: a measure that no tokenizer can flatter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.batches import IGNORED, Batch
from runtime.primitives import Now

TokenLosses = Callable[..., Tensor]  # inputs (B, T), targets (B, T), perhaps a seed -> nats (B, T)


def token_losses(model: nn.Module, dtype: torch.dtype) -> TokenLosses:
    """Return the function that gives the cross-entropy of every target in nats, 0 where it is ignored.

    A model that draws is trained with a seed; without one it is evaluated.
    """

    def losses(inputs: Tensor, targets: Tensor, seed: Tensor | None = None) -> Tensor:
        trained = {} if seed is None else {"training": True, "seed": seed}
        logits = model(inputs, Now.start(inputs, dtype, **trained)).float()
        flat = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return flat.view(targets.shape)

    return losses


def bits_per_byte(losses: TokenLosses, batches: Iterable[Batch], token_bytes: Tensor) -> float:
    """Σ nats / (ln 2 · Σ bytes) over all targets that stand for bytes; special tokens count in neither.

    `token_bytes` (V,) is the number of bytes of each id, on the device of the batches.
    """
    nats, count = 0.0, 0
    for inputs, targets in batches:
        # with gradients on, though none is taken: the training step's compiled code is used as it is
        found = losses(inputs, targets).detach()
        size = torch.where(targets == IGNORED, 0, token_bytes[targets.clamp(min=0)])
        nats += float((found.double() * (size > 0)).sum())
        count += int(size.sum())
    return nats / (math.log(2) * count) if count else math.inf
