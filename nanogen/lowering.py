"""Graph to module: the one file of the compiler that imports torch.

The emitted source is what runs. Proven here, without memory: it owns exactly the parameters that were counted,
computes the matmuls that were counted, and keeps the state that was answered.
"""

from __future__ import annotations

from attrs import frozen
from torch import nn
from torch.utils._pytree import tree_leaves

from nanogen.answers.flops import backward, forward
from nanogen.answers.state import bytes_per_row
from nanogen.compiler import Compiled
from nanogen.load import Load
from runtime.decoding.past import allocate_past
from runtime.device import DTYPES
from runtime.model import build_meta
from runtime.trace import trace_decoding, trace_training

TRACED_TOKENS = 1031  # a prime, beyond the windows that are usual


def prove(compiled: Compiled) -> nn.Module:
    """Build the emitted source on the meta device and hold it against the graph, path by path."""
    model = build_meta(compiled.source, compiled.name)
    built = {path: tuple(tensor.shape) for path, tensor in model.named_parameters()}
    counted = {p["path"]: tuple(p["shape"]) for p in compiled.blueprint["parameters"]}
    assert built == counted, _difference(built, counted)
    total = sum(tensor.numel() for tensor in model.parameters())
    assert total == compiled.blueprint["count"], f"{total:,} built, {compiled.blueprint['count']:,} counted"
    return model


def _difference(built: dict, counted: dict) -> str:
    parts = {p: (built.get(p), counted.get(p)) for p in {*built, *counted} if built.get(p) != counted.get(p)}
    return f"built and counted differ: {parts}"


@frozen
class Traced:
    """FLOPs that were counted and traced, and were equal."""

    tokens: int  # of the row that was trained on
    forward: int
    backward: int
    past: int  # positions before the token that was decoded
    decoding: int


def prove_flops(compiled: Compiled, model: nn.Module, dials: dict[str, int] | None = None) -> Traced:
    """Hold the matmuls that a model of `prove` computes against those counted: in training, and decoding."""
    dials = dials or {}
    graph = compiled.graph
    tokens, past = min(TRACED_TOKENS, graph.context), graph.context - 1
    load, step = Load(1, tokens, dials=dials), Load(1, 1, past, dials=dials)
    counted = forward(graph, load).matmul, backward(graph, load).matmul
    traced = trace_training(model, rows=1, tokens=tokens, dials=dials)
    assert traced == counted, f"forward and backward: {traced} FLOPs traced, {counted} counted"
    decoding = trace_decoding(model, compiled.blueprint, rows=1, tokens=1, past=past, dials=dials)
    wanted = forward(graph, step).matmul
    assert decoding == wanted, f"token {past + 1:,}: {decoding:,} FLOPs traced, {wanted:,} counted"
    return Traced(tokens, *traced, past, decoding)


def prove_state(compiled: Compiled, dials: dict[str, int] | None = None) -> None:
    """Hold the bytes that decoding allocates against those answered, in every dtype of values."""
    context, load = compiled.graph.context, Load(dials=dials or {})
    for dtype in DTYPES.values():
        past = allocate_past(
            compiled.blueprint, rows=1, capacity=context, dtype=dtype, device="meta", dials=dials
        )
        kept = sum(tensor.nbytes for tensor in tree_leaves(past))
        answered = bytes_per_row(compiled.graph, context, dtype.itemsize, load)
        assert kept == answered, f"state in {dtype}: {kept:,} bytes allocated, {answered:,} answered"
