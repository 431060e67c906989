"""Small specs compiled, filled and run, whole and piece by piece: what tests of the emitted source share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from nanogen.compiler import Compiled, compile_text
from runtime.model import Blueprint, allocate_past, build, initialize
from runtime.primitives import Now

HEAD = """
kind = "model"
language = 1
[dims]
width = 6
vocab = 11
context = 32
"""
TOKENS = torch.arange(24).view(2, 12) * 5 % 11


def compiled_of(body: str, **overrides: Any) -> Compiled:
    return compile_text(HEAD + body, overrides)


def model_of(body: str) -> tuple[Compiled, nn.Module]:
    compiled = compiled_of(body)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    return compiled, model


def in_pieces(
    model: nn.Module, blueprint: Blueprint, tokens: torch.Tensor, cuts: Sequence[int]
) -> torch.Tensor:
    """The logits of cached decoding, the tokens between two cuts at once."""
    past = allocate_past(blueprint, rows=len(tokens), capacity=tokens.shape[1], dtype=torch.float32)
    pieces = []
    for first, last in pairwise(cuts):
        piece = tokens[:, first:last]
        now = Now.start(piece, torch.float32, torch.arange(first, last)[None], past)
        pieces.append(model(piece, now))
    return torch.cat(pieces, dim=1)


def run(body: str) -> torch.Tensor:
    """The logits of a spec; they are finite, and cached decoding has the same."""
    compiled, model = model_of(body)
    with torch.inference_mode():
        whole = model(TOKENS)
        found = in_pieces(model, compiled.blueprint, TOKENS, (0, 5, 6, 12))
    assert torch.isfinite(whole).all()
    assert whole.shape == (2, 12, 11)
    assert torch.allclose(found, whole, atol=1e-4 * float(whole.abs().max()))
    return whole


def same(body: str, other: str) -> None:
    """Two specs that say the same in other words; weights are drawn by path."""
    assert torch.allclose(run(body), run(other), atol=1e-5)
