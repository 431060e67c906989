"""Small specs compiled, filled and run, whole and piece by piece: what tests of the emitted source share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from nanogen.answers.state import elements_per_row
from nanogen.compiler import Compiled, compile_text
from nanogen.load import Load
from nanogen.lowering import prove
from runtime.decoding.past import allocate_past
from runtime.model import Blueprint, build, initialize
from runtime.primitives import Now
from tests.nanogen.meaning import logits_of

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


# What a spec means is computed apart, equation by equation: `tests/nanogen/meaning.py`.

ROWS, LENGTH = TOKENS.shape
CUTS = ([0, 5, 6, 12], list(range(13)))  # pieces, and token by token


def holds(body: str, *dials: dict[str, int]) -> tuple[Compiled, nn.Module]:
    """The source of a spec has the logits and the gradients that its equations mean, and decoding has the same."""
    compiled, model = model_of(body)
    prove(compiled)
    with torch.no_grad():
        for parameter in model.parameters():  # zeros and ones would hide what is computed with them
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            parameter.add_(0.1 * noise)
    for stands in dials or ({},):
        whole = model(TOKENS, Now.start(TOKENS, dials=stands)).detach()
        decodes(compiled, model, whole, stands)
        means(HEAD + body, model.double(), stands)
        model.float()
    return compiled, model


def means(text: str, model: nn.Module, dials: dict[str, int]) -> None:
    """Logits and gradients are those of the equations; in double, so that they are equal or they are wrong."""
    weights = dict(model.named_parameters())
    found = model(TOKENS, Now.start(TOKENS, torch.float64, dials=dials))
    wanted = logits_of(text, weights, TOKENS, dials)
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-7)
    slope = torch.sin(torch.arange(found.numel()).double()).view(found.shape)
    gradients, others = (
        torch.autograd.grad(logits, list(weights.values()), slope, allow_unused=True)
        for logits in (found, wanted)
    )
    for path, gradient, other in zip(weights, gradients, others, strict=True):
        assert (gradient is None) == (other is None), path
        assert gradient is None or torch.allclose(gradient, other, rtol=1e-4, atol=1e-5), path


def decodes(compiled: Compiled, model: nn.Module, whole: torch.Tensor, dials: dict[str, int]) -> None:
    """Cached decoding has the logits of the whole pass, in a state of the counted size."""
    for cuts in CUTS:
        past = allocate_past(compiled.blueprint, rows=ROWS, capacity=LENGTH, dtype=torch.float32, dials=dials)
        pieces = []
        for first, last in pairwise(cuts):
            piece, positions = TOKENS[:, first:last], torch.arange(first, last)[None]
            with torch.inference_mode():
                pieces.append(model(piece, Now.start(piece, torch.float32, positions, past, dials)))
        assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5 * float(1 + whole.abs().max()))
        counted = elements_per_row(compiled.graph, LENGTH, Load(dials=dials))
        assert elements(past) == ROWS * counted


def elements(tree: Any) -> int:
    """Numbers in a tree of tensors."""
    if isinstance(tree, torch.Tensor):
        return tree.numel()
    return sum(map(elements, tree.values() if isinstance(tree, dict) else tree))
