"""Count the matmul FLOPs that a module computes, by running it and watching each operation.

On the meta device that takes no memory. What the model gives back while it is traced means nothing.

Knows no rule of the compiler: it sees the matmuls that torch is asked for, forward and backward, and counts a
multiply and an add as two. Four things need more than the shapes of an operation:

- Attention is one fused operation, which torch's own counters take as the full square. Here its pairs are those
  that the mask allows. A tensor on the meta device has no values, so whatever follows from positions alone (and
  such are masks) is computed on the CPU beside it, by the same operations.
- Its backward is four matmuls, each of as many pairs: gradients of values, scores, queries and keys. That a fused
  kernel computes the scores once more is its own affair.
- Attention that no fused operation computes is written out, in matmuls of all queries with all keys. These are seen
  as any others, and of each the share of pairs is counted that the mask allows.
- A causal convolution is a sum of shifted products: each product inside one counts as a multiply and an add.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from runtime import primitives
from runtime.decoding.past import allocate_past
from runtime.model import Blueprint
from runtime.primitives import CausalConv, Now

aten: Any = torch.ops.aten
MATMULS = {
    aten.mm: 0,
    aten.bmm: 0,
    aten.mv: 0,
    aten.dot: 0,
    aten.addmm: 1,
    aten.baddbmm: 1,
    aten.addmv: 1,
}  # where the left factor stands
FILTERS = (CausalConv,)  # modules whose products, element by element, are multiply-adds of a filter


class Tracer(TorchDispatchMode):
    """Sum the FLOPs of matmuls in `flops`, and remember the values of what follows from positions alone."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.filtering = False
        self.share = Fraction(1)  # of a matmul: pairs that a mask allows
        self.known: Any = WeakTensorKeyDictionary()  # tensor without memory -> its values on the CPU

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result, operation = func(*args, **kwargs), func._overloadpacket
        if operation in MATMULS:
            counted = 2 * result.numel() * args[MATMULS[operation]].shape[-1] * self.share
            assert counted.denominator == 1, f"{operation} in attention has other axes than queries and keys"
            self.flops += int(counted)
        elif operation is aten.mul and self.filtering:
            self.flops += 2 * result.numel()
        else:
            assert operation not in flop_registry, f"{operation} multiplies, and the trace has no rule for it"
        if isinstance(result, Tensor) and result.is_meta and not result.is_floating_point():
            self.follow(func, args, kwargs, result)
        return result

    def follow(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        """Compute values beside a tensor that has none, where all that it is made of is known."""
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not all(t in self.known for t in tensors) or not (tensors or func._overloadpacket is aten.arange):
            return
        args, kwargs = tree_map_only(Tensor, self.known.__getitem__, (args, kwargs))
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": "cpu"}
        self.known[result] = func(*args, **kwargs)

    def pairs(self, query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> int:
        """Query-key pairs of all rows and heads that attention may look at."""
        queries, keys = query.shape[-2], key.shape[-2]
        if mask is None:
            seen = sum(min(place + 1, keys) for place in range(queries)) if causal else queries * keys
            return prod(query.shape[:-2]) * seen
        assert mask.dtype == torch.bool, "a mask says which pairs are seen"
        assert not mask.is_meta or mask in self.known, "a mask follows from positions alone"
        values = self.known[mask] if mask.is_meta else mask
        return int(values.expand(*query.shape[:-1], keys).sum())


class _Calls(TorchFunctionMode):
    """Catch what is fused before torch takes it apart, and mark the backward of a filter's products."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self.attention(*args, **kwargs)
        result = func(*args, **kwargs)
        node = getattr(result, "grad_fn", None) if self.tracer.filtering else None
        if node is not None and node.name() == "MulBackward0":
            node.register_prehook(lambda *_: self.filter(True))
            node.register_hook(lambda *_: self.filter(False))
        return result

    def filter(self, on: bool) -> None:
        self.tracer.filtering = on

    def attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        **_: Any,
    ) -> Any:
        return _Attention.apply(q, k, v, self.tracer.pairs(q, k, attn_mask, is_causal), self.tracer)


class _Attention(torch.autograd.Function):
    """The shapes of attention, and the FLOPs of its matmuls."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, pairs: int, tracer: Tracer) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.pairs, ctx.tracer = pairs, tracer
        tracer.flops += 2 * pairs * (q.shape[-1] + v.shape[-1])  # scores, and their sum of values
        return q.new_empty(*q.shape[:-1], v.shape[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        q, k, v = ctx.saved_tensors
        of_q, of_k, of_v = ctx.needs_input_grad[:3]
        narrow, wide = q.shape[-1] * (of_q + of_k), v.shape[-1] * (of_v + (of_q or of_k))
        ctx.tracer.flops += 2 * ctx.pairs * (narrow + wide)
        given = [torch.empty_like(t) if of else None for t, of in ((q, of_q), (k, of_k), (v, of_v))]
        return (*given, None, None)


@contextmanager
def _attention_written_out(tracer: Tracer) -> Iterator[None]:
    """Count matmuls inside of attention, and of its backward, by the pairs that its mask allows."""
    compute = primitives._attend_by_scores

    def traced(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, *settings: Any) -> Tensor:
        pairs = tracer.pairs(q.transpose(1, 2), k.transpose(1, 2), mask, False)
        share = Fraction(pairs, prod(q.shape[:-1]) * k.shape[1])
        given = [t for t in (q, k, v, *settings) if isinstance(t, Tensor)]
        tracer.share = share
        mixed = compute(q, k, v, mask, *settings)
        tracer.share = Fraction(1)
        for node in _between(mixed, given):
            if node.name() == "BmmBackward0":
                node.register_prehook(lambda *_: setattr(tracer, "share", share))
                node.register_hook(lambda *_: setattr(tracer, "share", Fraction(1)))
        return mixed

    primitives._attend_by_scores = traced
    try:
        yield
    finally:
        primitives._attend_by_scores = compute


def _between(result: Tensor, given: Iterable[Tensor]) -> set[Any]:
    """Steps of the backward pass from a result to what it was computed from."""
    found: set[Any] = {None, *(tensor.grad_fn for tensor in given)}
    waiting: list[Any] = [result.grad_fn]
    steps = set[Any]()
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            steps.add(node)
            waiting += [below for below, _ in node.next_functions]
    return steps


@contextmanager
def tracing(model: nn.Module) -> Iterator[Tracer]:
    """Count what is computed inside."""
    tracer = Tracer()
    calls = _Calls(tracer)
    filters = [module for module in model.modules() if isinstance(module, FILTERS)]
    hooks = [f.register_forward_pre_hook(lambda *_: calls.filter(True)) for f in filters]
    hooks += [f.register_forward_hook(lambda *_: calls.filter(False)) for f in filters]
    try:
        with tracer, calls, _attention_written_out(tracer):
            yield tracer
    finally:
        for hook in hooks:
            hook.remove()


def trace_training(
    model: nn.Module, *, rows: int, tokens: int, dials: dict[str, int] | None = None
) -> tuple[int, int]:
    """Return the FLOPs of a forward pass from tokens to logits, and those of its backward to every parameter."""
    device = next(model.parameters()).device
    with tracing(model) as tracer:
        ids = torch.zeros(rows, tokens, dtype=torch.int64, device=device)
        logits = model(ids, Now.start(ids, dials=dials))
        forward = tracer.flops
        # a parameter that no logit depends on has no gradient, and costs none
        torch.autograd.grad(logits.sum(), list(model.parameters()), allow_unused=True)
    return forward, tracer.flops - forward


def trace_decoding(
    model: nn.Module,
    blueprint: Blueprint,
    *,
    rows: int,
    tokens: int,
    past: int,
    dials: dict[str, int] | None = None,
) -> int:
    """Return the FLOPs of `tokens` new positions after `past` kept ones; a decoding step has one."""
    device = next(model.parameters()).device
    with tracing(model) as tracer, torch.no_grad():
        ids = torch.zeros(rows, tokens, dtype=torch.int64, device=device)
        positions = torch.arange(past, past + tokens, device=device)[None]
        kept = allocate_past(
            blueprint, rows=rows, capacity=past + tokens, dtype=torch.float32, device=device, dials=dials
        )
        model(ids, Now.start(ids, torch.float32, positions, kept, dials))
    return tracer.flops
