"""Graph to module: the one file of the compiler that imports torch.

The emitted source is what runs; what is proven here is that it owns exactly the parameters that were counted.
"""

from __future__ import annotations

from torch import nn

from nanogen.compiler import Compiled
from runtime.model import build_meta


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
