"""Compile a model region by region: layers of one kind share their code, and so do all turns of a loop.

Knows nothing of what the regions compute: their paths are in the blueprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import nn

VARIANTS = 32  # graphs that a kind of region may have: with and without gradients, in training and evaluation

Step = TypeVar("Step", bound=Callable[..., Any])


def compiled(step: Step, backend: str | Callable[..., Any] = "inductor") -> Step:
    """Compile a function as one graph for the shapes it meets; it raises where that cannot be."""
    return torch.compile(step, fullgraph=True, dynamic=False, backend=backend)  # type: ignore[return-value]


def compile_regions(
    model: nn.Module, paths: Iterable[str], backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Compile the modules at these paths in place; parameters and their paths stay as they are."""
    torch._dynamo.config.recompile_limit = VARIANTS
    for path in paths:
        region = model.get_submodule(path)
        region.forward = compiled(region.forward, backend)
