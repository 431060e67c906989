"""What a batch is: inputs and targets (rows, length) of token ids. Knows nothing of where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

IGNORED = -1  # a target that counts for nothing

Batch = tuple[Tensor, Tensor]  # inputs_RT, targets_RT: int64


def stand_in(like: Batch) -> Batch:
    """A row of a batch in which nothing counts, for whoever has to compute along with others."""
    inputs, targets = like
    return inputs[:1], torch.full_like(targets[:1], IGNORED)


class HeldBatches:
    """Batches to go through again and again: made the first time, and kept in 32 bits."""

    def __init__(self, make: Callable[[], Iterable[Batch]]) -> None:
        self._make = make
        self._held: list[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self._held is None:
            self._held = [(inputs.int(), targets.int()) for inputs, targets in self._make()]
        return ((inputs.long(), targets.long()) for inputs, targets in self._held)
