"""A model in parts, of which one rank has all: it computes as the plain one, and gives and takes whole weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from nanogen.answers.parting import Parts, parting
from nanogen.compiler import Compiled, compile_text
from runtime.faults import Fault
from runtime.losses import token_losses
from runtime.model import build, initialize, outline
from runtime.ranks import Joined
from runtime.regions import compile_regions, compiled
from runtime.weight_shards import WeightShards
from tests.conftest import LOOPED
from tests.runtime.test_ranks import joined

__all__ = ["joined"]  # a fixture

GAINED = LOOPED.replace('x = "rms_norm(x + flatten(mix))"', 'x = "rms_norm(x + flatten(mix), gain=true)"')


@pytest.fixture(scope="module")
def spec() -> Compiled:
    assert GAINED != LOOPED
    return compile_text(GAINED)


def shards_of(spec: Compiled, ranks: Joined, dtype: torch.dtype = torch.float32) -> WeightShards:
    parts = parting(spec.graph)
    assert isinstance(parts, Parts)
    model = outline(spec.source, spec.blueprint)
    made = WeightShards(model, ranks, parts.units, dtype=dtype, device="cpu")
    made.initialize(spec.blueprint, seed=3)
    return made


def plain_of(spec: Compiled) -> torch.nn.Module:
    model = build(spec.source, spec.blueprint)
    initialize(model, spec.blueprint, seed=3)
    return model


def gradients(model: torch.nn.Module, spec: Compiled, dtype: torch.dtype, how=None) -> dict[str, Tensor]:
    """Of two micro-batches, in which the loop turns differently often."""
    losses = token_losses(model, dtype, *([how] if how else []), ending=spec.blueprint["ending"])
    ids = torch.randint(0, 64, (2, 17), generator=torch.Generator().manual_seed(0))
    weights = torch.full((2, 16), 1 / 32)
    for turns in (3, 2):
        losses(ids[:, :-1], ids[:, 1:], dials={"r": turns}, weights=weights).sum().backward()
    found = {path: p.grad for path, p in model.named_parameters()}
    return {path: g.to_local() if isinstance(g, DTensor) else g for path, g in found.items() if g is not None}


def test_matrices_are_cut_and_vectors_are_not(joined, spec):
    shards = shards_of(spec, joined)
    cut = {path for path, tensor in shards.tensors.items() if isinstance(tensor, DTensor)}
    assert cut == {p["path"] for p in spec.blueprint["parameters"] if len(p["shape"]) > 1}
    assert 0 < len(cut) < len(shards.tensors)
    assert all(shards.rows(path) is None for path in shards.tensors.keys() - cut)


def test_it_starts_as_one_process_would_and_gives_whole_weights(joined, spec):
    whole, plain = shards_of(spec, joined).weights(), dict(plain_of(spec).named_parameters())
    assert whole.keys() == plain.keys()
    assert all(torch.equal(whole[path], plain[path]) for path in plain)


def test_gradients_are_those_of_the_plain_model(joined, spec):
    mine = gradients(shards_of(spec, joined).model, spec, torch.float32)
    plain = gradients(plain_of(spec), spec, torch.float32)
    assert mine.keys() == plain.keys()
    for path, wanted in plain.items():
        torch.testing.assert_close(mine[path], wanted, msg=path)


def test_in_bfloat16_gradients_are_near_and_kept_in_float32(joined, spec):
    mine = gradients(shards_of(spec, joined, torch.bfloat16).model, spec, torch.bfloat16)
    for path, wanted in gradients(plain_of(spec), spec, torch.bfloat16).items():
        assert mine[path].dtype == torch.float32
        assert (mine[path] - wanted).norm() < 0.02 * wanted.norm(), path


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_layers_are_compiled_inside_of_what_gathers_them(joined, spec):
    made: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]):
        made.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph.forward

    model = shards_of(spec, joined).model
    compile_regions(model, spec.blueprint["regions"], backend)
    mine = gradients(model, spec, torch.float32, lambda step: compiled(step, backend))
    assert made
    for path, wanted in gradients(plain_of(spec), spec, torch.float32).items():
        torch.testing.assert_close(mine[path], wanted, msg=path)


def test_other_weights_count_from_the_next_pass_on(joined, spec):
    """Also where an evaluation has left something gathered."""
    shards = shards_of(spec, joined)
    losses = token_losses(shards.model, torch.float32, ending=spec.blueprint["ending"])
    ids = torch.arange(34).view(2, 17)
    before = losses(ids[:, :-1], ids[:, 1:], dials={"r": 2}).detach()
    assert torch.equal(losses(ids[:, :-1], ids[:, 1:], dials={"r": 2}).detach(), before)
    shards.load({path: torch.ones_like(t) for path, t in shards.weights().items()})
    after = losses(ids[:, :-1], ids[:, 1:], dials={"r": 2}).detach()
    assert not torch.allclose(after, before)


def test_weights_of_another_model_are_refused(joined, spec):
    shards = shards_of(spec, joined)
    weights = shards.weights()
    path = next(iter(weights))
    with pytest.raises(Fault, match="do not pair up"):
        shards.load({other: tensor for other, tensor in weights.items() if other != path})
    with pytest.raises(Fault, match=rf"`{path}` is .* in the model and \(3, 3\)"):
        shards.load({**weights, path: torch.ones(3, 3)})
