"""Whatever valid spec is written: counted is built, traced and allocated, and decoding is the full forward.

`NANOGEN_RANDOM=1500 pytest tests/nanogen/test_random.py` tries more specs than the suite does.
"""

from __future__ import annotations

import os
from zlib import crc32

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor, nn

from nanogen.answers.flops import backward, forward
from nanogen.answers.saved import saved
from nanogen.compiler import Compiled, compile_text
from nanogen.load import Load
from nanogen.lowering import prove, prove_state
from runtime import regions
from runtime.decoding.past import allocate_past
from runtime.losses import token_losses
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.regions import compile_regions
from runtime.trace import trace_decoding, trace_training
from tests.nanogen.random_specs import Spec, specs
from tests.runtime.test_regions import Counter
from tests.saved_bytes import saved_bytes

SUITE = 60
CASES = int(os.environ.get("NANOGEN_RANDOM", str(SUITE)))
ROWS = 2
# what torch keeps beside or in another form: copies in another order, what kernels of attention keep, padding,
# positions once for all rows, and what follows from parameters alone
NOT_KEPT = (
    "einsum", "attend(", "gain=true", "positions", "turn,", "repeat(", "shift(", "causal_conv(",
)  # fmt: skip
LIMITS = {
    "max_examples": CASES,
    "deadline": None,
    "derandomize": CASES == SUITE,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


def built(spec: Spec) -> tuple[Compiled, nn.Module]:
    compiled = compile_text(spec.text)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    return compiled, model


def tokens_of(compiled: Compiled) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(compiled.graph.vocab, (ROWS, compiled.graph.context), generator=generator)


# torch hides this one by itself, unless warnings are errors
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@settings(**LIMITS)
@given(specs())
def test_counted_is_what_is_built_and_decoding_is_the_forward(spec: Spec):
    compiled, model = built(spec)
    # a table that none calls, a setting that none reads; advice
    assert all(d.code == "NG402" or d.code.startswith("NG6") for d in compiled.warnings)
    prove(compiled)  # parameters, path by path
    for dials in spec.dials:
        prove_state(compiled, dials)
        flops_are_traced(compiled, model, dials)
        decoding_is_the_forward(compiled, model, dials)
        activations_are_kept(compiled, model, dials)
    if crc32(spec.text.encode()) % 20 == 0:
        torch_compiles_the_source_whole(compiled, model)
        torch_compiles_each_region_once(compiled, model, spec.dials)


def flops_are_traced(compiled: Compiled, model: nn.Module, dials: dict[str, int]) -> None:
    graph, tokens = compiled.graph, compiled.graph.context
    load = Load(ROWS, tokens, dials=dials)
    counted = forward(graph, load).matmul, backward(graph, load).matmul
    assert trace_training(model, rows=ROWS, tokens=tokens, dials=dials) == counted
    for new, past in ((1, tokens - 1), (2, 3)):
        traced = trace_decoding(model, compiled.blueprint, rows=ROWS, tokens=new, past=past, dials=dials)
        assert traced == forward(graph, Load(ROWS, new, past, dials=dials)).matmul


@torch.inference_mode()
def decoding_is_the_forward(compiled: Compiled, model: nn.Module, dials: dict[str, int]) -> None:
    context, tokens = compiled.graph.context, tokens_of(compiled)
    whole = model(tokens, Now.start(tokens, dials=dials))
    assert torch.isfinite(whole).all()
    for sizes in ([1] * context, [context - 4, 1, 3]):
        past = allocate_past(
            compiled.blueprint, rows=ROWS, capacity=context, dtype=torch.float32, dials=dials
        )
        place, pieces = 0, list[Tensor]()
        for size in sizes:
            piece, positions = tokens[:, place : place + size], torch.arange(place, place + size)[None]
            pieces.append(model(piece, Now.start(piece, torch.float32, positions, past, dials)))
            place += size
        scale = max(1.0, float(whole.abs().max()))
        assert torch.allclose(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-4 * scale)


def activations_are_kept(compiled: Compiled, model: nn.Module, dials: dict[str, int]) -> None:
    if any(word in compiled.document.text for word in NOT_KEPT):
        return
    tokens = tokens_of(compiled)
    counted = saved(compiled.graph, Load(ROWS, compiled.graph.context, dials=dials)).bytes(4)
    assert counted == saved_bytes(model, tokens, Now.start(tokens, dials=dials))


@torch.no_grad()
def torch_compiles_the_source_whole(compiled: Compiled, model: nn.Module) -> None:
    tokens = tokens_of(compiled)
    torch._dynamo.reset()
    found = torch.compile(model, fullgraph=True, dynamic=False, backend="eager")(tokens)
    whole = model(tokens)
    assert torch.allclose(found, whole, rtol=0, atol=1e-4 * max(1.0, float(whole.abs().max())))


def torch_compiles_each_region_once(
    compiled: Compiled, model: nn.Module, stands: tuple[dict[str, int], ...]
) -> None:
    """The number of graphs does not follow the dials, and the losses are those of the code as it is."""
    tokens, seed = tokens_of(compiled), torch.tensor(7)
    plain = token_losses(model, torch.float32)
    wanted = [plain(tokens, tokens, seed, dials=dials).detach() for dials in stands]
    torch._dynamo.reset()
    counter = Counter()
    compile_regions(model, compiled.blueprint["regions"], counter)
    losses = token_losses(model, torch.float32, lambda step: regions.compiled(step, counter))
    for _ in range(2):
        before = counter.graphs
        found = [losses(tokens, tokens, seed, dials=dials) for dials in stands]
        for one, other in zip(found, wanted, strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-4 * max(1.0, float(other.abs().max())))
    assert counter.graphs == before
