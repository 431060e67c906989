"""The loss of a model's ending, some positions at a time: logits of all positions are never there at once.

Where it is said beforehand what the loss of each token will be multiplied by, the gradients are made with the losses,
while the logits of a chunk are there; backward then only hands them out. Otherwise backward makes the logits again.
Knows nothing of layers, nor of what an ending computes: that is the method `_logits` of emitted source, of values
(B, T, ..) of which each position stands by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define, field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, vjp
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from runtime.batches import IGNORED

# N positions of all rows, C of a chunk


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats (B, T) of every target, in float32; 0 where it is ignored."""
    flat = F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return flat.view(targets.shape)


class Scored(nn.Module):
    """The ending of a model with the loss behind it, as one module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, left: tuple[Any, ...], targets: Tensor) -> Tensor:
        model: Any = self.model
        return cross_entropy(model._logits(*left), targets)


@define(eq=False)
class Chunks:
    """The ending of a model, cut into chunks; `ending` is what the blueprint says of it."""

    model: nn.Module
    ending: dict[str, Any]
    dtype: torch.dtype
    compiled: Callable[..., Any]
    _scored: Scored = field(init=False)
    _made: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._scored = Scored(self.model)

    def losses(self, left: tuple[Any, ...], targets: Tensor, weights: Tensor | None) -> Tensor:
        """Nats (B, T), times `weights` where given."""
        leaves, spec = tree_flatten(left)
        timed = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        tensors = dict(self.model.named_parameters())
        parameters = [tensors[weight["path"]] for weight in self.ending["weights"]]
        return _Loss.apply(
            _Run(self, leaves, timed, spec, targets, weights),
            *(leaves[place] for place in timed),
            *parameters,
        )  # type: ignore[return-value]

    def steps(self, spec: TreeSpec, rest: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """A chunk's losses alone, and those with all gradients, for values that come in this form."""
        if (key := f"{spec} {rest}") not in self._made:
            self._made[key] = self._make(spec)
        return self._made[key]

    def _make(self, spec: TreeSpec) -> tuple[Callable[..., Any], Callable[..., Any]]:
        scored = self._scored

        def plain(moved: list[Tensor], read: dict[str, Tensor], still: list[Any], targets: Tensor) -> Tensor:
            coming = iter(moved)
            leaves = [next(coming) if leaf is None else leaf for leaf in still]
            return functional_call(scored, read, (tree_unflatten(leaves, spec), targets))

        def graded(
            moved: list[Tensor], read: dict[str, Tensor], still: list[Any], targets: Tensor, weights: Tensor
        ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
            floats = [tensor.is_floating_point() for tensor in moved]

            def of(these: list[Tensor], read: dict[str, Tensor]) -> Tensor:
                coming = iter(these)
                mixed = [next(coming) if f else t for f, t in zip(floats, moved, strict=True)]
                return plain(mixed, read, still, targets)

            back: Any = vjp(of, [t for f, t in zip(floats, moved, strict=True) if f], read)
            nats, pull = back
            return nats, *pull(weights)

        return self.compiled(plain), self.compiled(graded)

    def read(self, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
        """The weights of the ending as it reads them, by their names in `Scored`; narrow ones cast once for all chunks."""
        return {
            f"model.{weight['path']}": p.detach().to(self.dtype) if weight["cast"] else p.detach()
            for weight, p in zip(self.ending["weights"], parameters, strict=True)
        }


@define(eq=False)
class _Run:
    """One pass over all chunks."""

    chunks: Chunks
    leaves: list[Any]
    timed: list[int]  # which leaves are tensors
    spec: TreeSpec
    targets: Tensor  # (B, T)
    weights: Tensor | None  # (B, T)

    def cuts(self) -> Iterator[slice]:
        """Positions of each chunk, of one size but perhaps for the last."""
        count = self.targets.numel()
        most = self.chunks.ending["positions"]
        size = -(-count // -(-count // most))
        return (slice(start, start + size) for start in range(0, count, size))

    def part(self, tensor: Tensor, cut: slice) -> Tensor:
        """Of a value (B, T, ..) the positions of a chunk as (1, C, ..); what has no such axes is whole."""
        tensor = tensor.detach()
        return tensor.flatten(0, 1)[cut][None] if tensor.ndim > 1 else tensor

    def losses(self, moved: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
        plain, _ = self.chunks.steps(self.spec, str(self.timed))
        read, still = self.chunks.read(parameters), self.still()
        found = [
            plain([self.part(t, cut) for t in moved], read, still, self.part(self.targets, cut))
            for cut in self.cuts()
        ]
        return torch.cat(found, dim=1).view(self.targets.shape)

    def graded(
        self, moved: Sequence[Tensor], parameters: Sequence[Tensor], weights: Tensor
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Nats, and the gradients of their sum times `weights`: of each moved value, then of each parameter."""
        _, graded = self.chunks.steps(self.spec, str(self.timed))
        read, still = self.chunks.read(parameters), self.still()
        nats: list[Tensor] = []
        of_values: list[Tensor | None] = [None] * len(moved)
        of_read: dict[str, Tensor] = {}
        floats = [place for place, t in enumerate(moved) if t.is_floating_point()]
        for cut in self.cuts():
            values = [self.part(t, cut) for t in moved]
            found, values_found, read_found = graded(
                values, read, still, self.part(self.targets, cut), self.part(weights, cut)
            )
            nats.append(found)
            for place, gradient in zip(floats, values_found, strict=True):
                of_values[place] = self.gathered(of_values[place], gradient, moved[place], cut)
            for name, gradient in read_found.items():
                of_read[name] = of_read[name].add_(gradient) if name in of_read else _own(gradient)
        gradients = [*of_values, *(of_read[name] for name in read)]
        return torch.cat(nats, dim=1).view(self.targets.shape), gradients

    def gathered(self, so_far: Tensor | None, gradient: Tensor, value: Tensor, cut: slice) -> Tensor:
        """A gradient put in its place among those of other chunks, or added where a value has no positions."""
        if value.ndim < 2:
            return _own(gradient) if so_far is None else so_far.add_(gradient)
        whole = torch.empty_like(value, memory_format=torch.contiguous_format) if so_far is None else so_far
        whole.flatten(0, 1)[cut] = gradient[0]
        return whole

    def still(self) -> list[Any]:
        """What is the same for all chunks, with None in the place of what moves."""
        return [None if place in self.timed else leaf for place, leaf in enumerate(self.leaves)]


def _own(gradient: Tensor) -> Tensor:
    """A float32 sum to add to."""
    return gradient.float() if gradient.dtype != torch.float32 else gradient.clone()


class _Loss(torch.autograd.Function):
    """The losses of all chunks as one function of the values that the layers left and of the ending's weights."""

    @staticmethod
    def forward(ctx: Any, run: _Run, *tensors: Tensor) -> Tensor:
        count = len(run.timed)
        values, parameters = tensors[:count], tensors[count:]
        run.leaves = run.still()  # the values are not kept alive by this
        ctx.run, ctx.count, ctx.ready = run, count, None
        if run.weights is not None and any(ctx.needs_input_grad):
            nats, ctx.ready = run.graded(values, parameters, run.weights)
            return nats * run.weights
        nats = run.losses(values, parameters)
        ctx.save_for_backward(*tensors)
        return nats if run.weights is None else nats * run.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        run: _Run = ctx.run
        if ctx.ready is not None:
            assert all(stride == 0 for stride in up.stride()), "prepared gradients are those of a sum"
            found = [None if g is None else g.mul_(up.flatten()[0].to(g.dtype)) for g in ctx.ready]
            ctx.ready = None
        else:
            values, parameters = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
            _, found = run.graded(values, parameters, up.contiguous())
        return None, *found
