"""From emitted source and its blueprint to a module with weights. Knows nothing of specs.

A blueprint is what the source does not say: each parameter's path, shape, initial law and role, what
decoding keeps, and the sizes that data and tokenizer must agree with.
"""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
import types
from typing import Any

import torch
from torch import nn

from runtime.initialization import fill
from runtime.streams import stream

Blueprint = dict[str, Any]  # plain JSON


def load_source(source: str, name: str) -> types.ModuleType:
    """Run emitted source as a module. Only what the compiler wrote a moment ago comes here, never a file."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    name = re.sub(r"\W", "_", name)  # a spec may call itself anything
    module = types.ModuleType(f"nanogen_emitted_{name}_{digest}")
    filename = f"<{name} {digest}, emitted>"
    sys.modules[module.__name__] = module  # torch.compile looks functions up by their module
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), module.__dict__)
    return module


def build_meta(source: str, name: str) -> nn.Module:
    """Return the model without memory: shapes only."""
    with torch.device("meta"):
        return load_source(source, name).Model()


def outline(source: str, blueprint: Blueprint) -> nn.Module:
    """Return the model without memory, each parameter stored as the blueprint says."""
    model = build_meta(source, blueprint["name"])
    tensors = dict(model.named_parameters())
    for p in blueprint["parameters"]:
        if p["dtype"] is not None:
            tensors[p["path"]].data = tensors[p["path"]].data.to(getattr(torch, p["dtype"]))
    return model


def build(source: str, blueprint: Blueprint, *, device: str | torch.device = "cpu") -> nn.Module:
    """Return the model on a device, its parameters not yet filled."""
    return outline(source, blueprint).to_empty(device=device)


def initialize(model: nn.Module, blueprint: Blueprint, *, seed: int) -> None:
    """Fill every parameter by its law, each from the random stream of its own path."""
    tensors = dict(model.named_parameters())
    assert set(tensors) == {p["path"] for p in blueprint["parameters"]}, "source and blueprint part"
    for p in blueprint["parameters"]:
        fill(tensors[p["path"]], p["init"], stream(seed, "init", p["path"]))
