"""Every model that ships, made small: decoding with a cache has the logits of the full forward pass.

A new spec is found by itself, and shrunk by the names of its dims; one that these do not make small says so here.
The library of modules is decoded in `test_std.py`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.graph import Apply, Graph, Unit
from nanogen.primitives.attend import Attend
from nanogen.shelf import find, shipped
from runtime.decoding.past import allocate_past
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.streams import stream

ROWS, CONTEXT = 2, 28
SMALL = {
    "depth": 6, "width": 32, "heads": 4, "kv_heads": 2, "head_dim": 8, "hidden": 40,
    "vocab": 61, "window": 5, "short": 7,
}  # fmt: skip
FOLLOWS = ("kv_heads", "head_dim", "hidden")  # left alone where they are told from other dims
MOST_TURNS = 4  # where a dial stands by itself
MOST_PARAMETERS = 500_000
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "saint_iberis_d20": {"depth": 20},  # its list of layers is for these
    "saint_iberis_jp": {"depth": 16},
    "lfm2_1_2b": {"attends": [1, 4], "declared": 60, "multiple": 8},
    "gemma3_1b": {"kv_heads": 1},
    "llama3_8b": {"stretch": 8, "trained": 16},
}


def small_dims(compiled: Compiled, context: int = CONTEXT) -> dict[str, Any]:
    """Dims and dials under which a model is small."""
    written = compiled.document.data["dims"]
    found: dict[str, Any] = {
        name: value
        for name, value in (SMALL | {"context": context}).items()
        if name in written and not (name in FOLLOWS and isinstance(written[name], str))
    }
    found |= {d.name: MOST_TURNS for d in compiled.graph.dials.values() if d.default > MOST_TURNS}
    return found | EXCEPTIONS.get(compiled.name, {})


@lru_cache
def small(name: str, context: int = CONTEXT) -> tuple[Compiled, nn.Module]:
    """A model at small sizes, every parameter away from where it starts."""
    path = find(name, "model")
    compiled = compile_file(path, small_dims(compile_file(path), context))
    assert_small(compiled)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=stream(1, path))
            parameter.add_(noise * (0.3 if parameter.ndim < 2 else parameter.shape[-1] ** -0.5))
    return compiled, model


def assert_small(compiled: Compiled) -> None:
    """Refuse a spec that SMALL and EXCEPTIONS leave too large to decode here, or whose windows are never left."""
    count = compiled.blueprint["count"]
    assert count <= MOST_PARAMETERS, f"`{compiled.name}` has {count:,} parameters when small: EXCEPTIONS"
    for window in windows(compiled.graph):
        # a window of the context and more sees all there is
        assert window <= CONTEXT // 2 or window >= CONTEXT, (
            f"`{compiled.name}` has a window of {window}: SMALL"
        )


def windows(graph: Graph) -> set[int]:
    """Windows of attention anywhere in a model."""
    found, units = set[int](), [graph.model]
    seen = set[Unit]()
    while units:
        unit = units.pop()
        if unit not in seen:
            seen.add(unit)
            attends = [n.primitive for n in unit.nodes if isinstance(n, Apply)]
            found |= {a.window for a in attends if isinstance(a, Attend) and a.window is not None}
            units += unit.calls
    return found


def stands(compiled: Compiled) -> list[dict[str, int]]:
    """Where the dials of a model are tried: as they stand, at one turn, and above."""
    dials = compiled.graph.dials.values()
    if not dials:
        return [{}]
    return [{}, {d.name: d.least for d in dials}, {d.name: min(d.default + 2, d.most) for d in dials}]


def decoded(compiled: Compiled, model: nn.Module, tokens: Tensor, cuts: list[int], dials: dict) -> Tensor:
    past = allocate_past(compiled.blueprint, rows=ROWS, capacity=CONTEXT, dtype=torch.float32, dials=dials)
    pieces = []
    for first, last in pairwise(cuts):
        piece, positions = tokens[:, first:last], torch.arange(first, last)[None]
        pieces.append(model(piece, Now.start(piece, torch.float32, positions, past, dials)))
    return torch.cat(pieces, dim=1)


CUTS = {"token by token": list(range(CONTEXT + 1)), "in chunks": [0, 3, 4, 15, 17, CONTEXT]}


@pytest.mark.parametrize("name", shipped("model"))
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@torch.inference_mode()
def test_cached_decoding_is_the_full_forward(name: str, cuts: list[int]):
    compiled, model = small(name)
    tokens = torch.randint(compiled.graph.vocab, (ROWS, CONTEXT), generator=stream(2, name))
    for dials in stands(compiled):
        whole = model(tokens, Now.start(tokens, dials=dials))
        assert whole.std() > 0.01  # something is computed
        found = decoded(compiled, model, tokens, cuts, dials)
        assert torch.allclose(found, whole, rtol=0, atol=1e-4 * max(1.0, float(whole.abs().max()))), dials


@pytest.mark.parametrize("name", shipped("model"))
@torch.inference_mode()
def test_a_token_alone_is_the_begin_of_a_longer_text(name: str):
    """What looks at the token before has none to look at: nanochat's forward pass refuses that."""
    compiled, model = small(name)
    tokens = torch.randint(compiled.graph.vocab, (ROWS, 4), generator=stream(3, name))
    whole, alone = model(tokens, Now.start(tokens)), model(tokens[:, :1], Now.start(tokens[:, :1]))
    assert torch.allclose(alone, whole[:, :1], rtol=0, atol=1e-4 * max(1.0, float(whole.abs().max())))


def test_looped_models_are_among_them():
    looped = {name for name in shipped("model") if small(name)[0].graph.dials}
    assert looped >= {"huginn", "looped", "trelis_recursive"}
    assert stands(small("huginn")[0]) == [{}, {"r": 1}, {"r": 6}]


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ('a = "linear(e, breadth)"\nb = "linear(a, vocab)"', "parameters when small: EXCEPTIONS"),
        (
            'q = "split(linear(e, width), 4)"\nb = "linear(flatten(attend(q, q, q, window=far)), vocab)"',
            "a window of 20: SMALL",
        ),
    ],
)
def test_what_stays_large_is_refused(equation: str, message: str):
    text = f"""
kind = "model"
language = 1
[dims]
width = 4096
vocab = 50000
context = 4096
breadth = 20000
far = 20
[model]
e = "embedding(tokens, vocab, width)"
{equation}
logits = "b"
"""
    compiled = compile_text(text)
    with pytest.raises(AssertionError, match=message):
        assert_small(compile_text(text, small_dims(compiled)))
