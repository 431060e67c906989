"""Whatever valid spec is written: counted is built, traced and allocated, and decoding is the full forward.

`NANOGEN_RANDOM=1000 pytest tests/nanogen/test_random.py` tries more specs than the suite does.
"""

from __future__ import annotations

import os

import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from nanogen.answers.flops import backward, forward
from nanogen.compiler import Compiled, compile_text
from nanogen.load import Load
from nanogen.lowering import prove, prove_state
from runtime.model import allocate_past, build, initialize
from runtime.primitives import Now
from runtime.trace import trace_decoding, trace_training
from tests.nanogen.random_specs import specs

CASES = int(os.environ.get("NANOGEN_RANDOM", "40"))
ROWS = 2
LIMITS = {"max_examples": CASES, "deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(derandomize=CASES == 40, **LIMITS)
@given(specs())
def test_counted_is_what_is_built_and_decoding_is_the_forward(text: str):
    compiled = compile_text(text)
    assert {d.code for d in compiled.warnings} <= {
        "NG402"
    }  # a module that none calls, a setting that none reads
    prove(compiled)  # parameters, path by path
    prove_state(compiled)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    flops_are_traced(compiled, model)
    decoding_is_the_forward(compiled, model)


def flops_are_traced(compiled: Compiled, model: nn.Module) -> None:
    graph, tokens = compiled.graph, compiled.graph.context
    load = Load(ROWS, tokens)
    counted = forward(graph, load).matmul, backward(graph, load).matmul
    assert trace_training(model, rows=ROWS, tokens=tokens) == counted
    for new, past in ((1, tokens - 1), (2, 3)):
        traced = trace_decoding(model, compiled.blueprint, rows=ROWS, tokens=new, past=past)
        assert traced == forward(graph, Load(ROWS, new, past)).matmul


@torch.inference_mode()
def decoding_is_the_forward(compiled: Compiled, model: nn.Module) -> None:
    context, vocab = compiled.graph.context, compiled.graph.vocab
    tokens = torch.randint(vocab, (ROWS, context), generator=torch.Generator().manual_seed(3))
    whole = model(tokens)
    assert torch.isfinite(whole).all()
    for sizes in ([1] * context, [context - 4, 1, 3]):
        past = allocate_past(compiled.blueprint, rows=ROWS, capacity=context, dtype=torch.float32)
        place, pieces = 0, list[Tensor]()
        for size in sizes:
            piece, positions = tokens[:, place : place + size], torch.arange(place, place + size)[None]
            pieces.append(model(piece, Now.start(piece, torch.float32, positions, past)))
            place += size
        scale = max(1.0, float(whole.abs().max()))
        assert torch.allclose(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-4 * scale)
