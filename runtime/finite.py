"""Stop before a number that is not finite reaches the weights, and say where it came from.

Many tensors are looked at with one reading of the device: the largest number of each is found there, and only
whether all are finite comes back. The largest, and not a sum of squares, for that of finite numbers never overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from runtime.faults import Fault

SHOWN = 12  # names in a message

Holds = Callable[[int, Sequence[int]], list[str]]  # a micro-batch and rows of it, from 0 -> what stands there


class NotFinite(Fault):
    """A step that was stopped; the weights are as they were before it."""


def first_not_finite(named: Iterable[tuple[str, Tensor | None]]) -> str | None:
    """The name of the first tensor with a number that is not finite."""
    found = [(name, tensor) for name, tensor in named if tensor is not None and tensor.numel()]
    if not found:
        return None
    finite = _are_finite([tensor.detach() for _, tensor in found])
    if bool(finite.all()):
        return None
    return found[finite.tolist().index(False)][0]


def _are_finite(tensors: list[Tensor]) -> Tensor:
    """For each tensor whether all of it is finite, on the device. Each way is the fast one where it is taken."""
    if tensors[0].is_cuda:  # a few kernels for all tensors, where one for each would be hundreds
        largest = torch._foreach_norm(tensors, math.inf)  # pyright: ignore[reportPrivateImportUsage]
        return torch.stack([norm.float() for norm in largest]).isfinite()
    ends = [
        torch.aminmax(tensor) for tensor in tensors
    ]  # NaN is both; vectorized, as that norm is not on CPU
    return torch.stack([torch.stack([end.min, end.max]).float() for end in ends]).isfinite().all(dim=1)


def bad_rows(losses: Tensor) -> list[int]:
    """Rows of a micro-batch with a loss that is not finite; all of them where only their sum is none."""
    rows = (~losses.detach().isfinite().all(dim=1)).nonzero().flatten().tolist()
    return rows or list(range(len(losses)))


def bad_loss(
    step: int, loss: float, micro: int, of: int, rows: Sequence[int], holds: Holds | None
) -> NotFinite:
    """The fault of a loss; micro-batches and rows are counted from 1 in it."""
    numbers = ", ".join(f"{row + 1}" for row in rows)
    where = f"in micro-batch {micro + 1} of {of}, row{'s' if len(rows) > 1 else ''} {numbers}"
    message = f"the loss of step {step:,} is {loss} {where}: stopped before the weights changed"
    return NotFinite(message + _held(holds(micro, rows) if holds else []), "look at what these rows hold")


def bad_gradient(step: int, loss: float, name: str, sizes: Sequence[int], holds: Holds | None) -> NotFinite:
    """The fault of a gradient; it is of the whole step, whose micro-batches have so many rows."""
    message = (
        f"the gradient of `{name}` is not finite at step {step:,}, whose loss is {loss:.6g}: "
        "stopped before the weights changed"
    )
    all_held = (
        [text for micro, size in enumerate(sizes) for text in holds(micro, range(size))] if holds else []
    )
    return NotFinite(message + _held(all_held), "compute in float32 to see whether it is the rounding")


def bad_weights(step: int, name: str) -> NotFinite:
    message = f"`{name}` is not finite after {step:,} steps: nothing was saved of it"
    return NotFinite(message, "the last steps were too large")


def _held(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    if not known:
        return ""
    more = f", and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    return f"; it learnt from {', '.join(known[:SHOWN])}{more}"
