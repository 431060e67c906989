"""The loss made some positions at a time is the loss made of all, and so are its gradients."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nanogen.compiler import Compiled, compile_text
from runtime.batches import IGNORED
from runtime.losses import TokenLosses, token_losses
from runtime.model import build, initialize
from runtime.regions import compiled as compiled_code

ROWS, TOKENS, VOCAB = 3, 50, 300
HEAD = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 300\ncontext = 64\nwidth = 16\n'
TRUNK = """
[stack.trunk]
layers = 2
a = "linear(rms_norm(x), width)"
x = "x + silu(a)"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed)"
"""
ENDINGS = {
    "plain": 'logits = "linear(trunk, vocab)"',
    "capped": 'head = "linear(rms_norm(trunk), vocab, role=head)"\nlogits = "softcap(head, 3)"',
    "with all": """
last = "layer_norm(trunk, gain=true, bias=true)"
head = "linear(last, vocab + 20, bias=true)"
logits = "softcap(float32(head[:vocab]) * 2, 3)"
""",
    "tied": 'logits = "linear(rms_norm(trunk, gain=true), vocab, weights=embed)"',
    "of several values": """
keep = "parameter(init=0.5)"
out = "trunk - keep * at(trunk.x, 0) + embed"
logits = "linear(out, vocab)"
""",
    "another": 'g = "linear(trunk, vocab)"\nlogits = "linear(silu(trunk), vocab) * sigmoid(g)"',
}


def made(ending: str) -> Compiled:
    return compile_text(HEAD + TRUNK + ENDINGS[ending])


def built(compiled: Compiled) -> nn.Module:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    return model


def batch() -> tuple[Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(1)
    inputs, targets = torch.randint(VOCAB, (2, ROWS, TOKENS), generator=stream)
    targets[0, 5:20] = IGNORED
    targets[2] = IGNORED
    return inputs, targets, torch.randn(ROWS, TOKENS, generator=stream)


def cut(compiled: Compiled, positions: int) -> dict[str, Any]:
    return {**compiled.blueprint["ending"], "positions": positions}


def learnt(losses: TokenLosses, model: nn.Module, given: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses times weights, and the gradients of their sum; the weights are given beforehand or come after."""
    inputs, targets, weights = batch()
    found = losses(inputs, targets, weights=weights) if given else losses(inputs, targets) * weights
    model.zero_grad(set_to_none=True)
    found.sum().backward()
    return found.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm().clamp(min=1e-12))


@pytest.mark.parametrize("given", [True, False], ids=["prepared", "made again"])
@pytest.mark.parametrize("positions", [1000, 64, 150, 149, 7])
@pytest.mark.parametrize("ending", ENDINGS)
def test_in_float32_it_is_the_same_to_1e_6(ending: str, positions: int, given: bool):
    compiled = made(ending)
    model = built(compiled)
    wanted, gradients = learnt(token_losses(model, torch.float32), model, given)
    losses = token_losses(model, torch.float32, ending=cut(compiled, positions))
    found, chunked = learnt(losses, model, given)
    assert torch.allclose(found, wanted, atol=1e-6, rtol=1e-6)
    assert chunked.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert apart(chunked[name], gradient) < 1e-6, name


@pytest.mark.parametrize("ending", ENDINGS)
def test_in_bfloat16_losses_are_the_same_and_gradients_as_close_as_it_rounds(ending: str):
    compiled = made(ending)
    model = built(compiled)
    _, exact = learnt(token_losses(model, torch.float32), model, True)
    wanted, gradients = learnt(token_losses(model, torch.bfloat16), model, True)
    losses = token_losses(model, torch.bfloat16, ending=cut(compiled, 40))
    found, chunked = learnt(losses, model, True)
    assert torch.allclose(found, wanted, atol=1e-6, rtol=1e-6)
    for name, gradient in gradients.items():
        assert apart(chunked[name], gradient) < 2**-6, name
        assert apart(chunked[name], exact[name]) < 1.1 * apart(gradient, exact[name]) + 2**-9, name


def test_a_gradient_of_other_than_the_sum_is_refused_where_that_was_prepared():
    compiled = made("plain")
    losses = token_losses(built(compiled), torch.float32, ending=cut(compiled, 40))
    inputs, targets, weights = batch()
    with pytest.raises(AssertionError, match="those of a sum"):
        (losses(inputs, targets, weights=weights) * weights).sum().backward()


def test_a_scaled_sum_scales_the_gradients():
    compiled = made("capped")
    model = built(compiled)
    losses = token_losses(model, torch.float32, ending=cut(compiled, 40))
    inputs, targets, weights = batch()
    _, wanted = learnt(losses, model, True)
    wanted = {name: gradient.clone() for name, gradient in wanted.items()}
    model.zero_grad(set_to_none=True)
    (losses(inputs, targets, weights=weights).sum() / 7).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None
        assert apart(p.grad * 7, wanted[name]) < 1e-6


@pytest.mark.parametrize("given", [True, False])
def test_without_gradients_it_is_only_measured(given: bool):
    compiled = made("capped")
    model = built(compiled)
    inputs, targets, weights = batch()
    with torch.no_grad():
        plain, chunked = (
            token_losses(model, torch.float32, ending=e)(inputs, targets, weights=weights if given else None)
            for e in (None, cut(compiled, 40))
        )
    assert torch.allclose(plain, chunked, atol=1e-6)
    assert not chunked.requires_grad


def test_compiled_code_learns_the_same():
    compiled = made("of several values")
    model = built(compiled)
    wanted, gradients = learnt(token_losses(model, torch.float32), model, True)
    code: Any = partial(compiled_code, backend="aot_eager")
    found, chunked = learnt(token_losses(model, torch.float32, code, ending=cut(compiled, 50)), model, True)
    assert torch.allclose(found, wanted, atol=1e-6)
    for name, gradient in gradients.items():
        assert apart(chunked[name], gradient) < 1e-6, name


class Largest(TorchDispatchMode):
    """The most numbers of any tensor that operations give back."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [t.numel() for t in tree_leaves(result) if isinstance(t, Tensor)]
        self.most = max([self.most, *sizes])
        return result


@pytest.mark.parametrize("given", [True, False])
def test_no_value_is_as_large_as_all_logits(given: bool):
    compiled = made("capped")
    model = built(compiled)
    whole, chunked = Largest(), Largest()
    with whole:
        learnt(token_losses(model, torch.float32), model, given)
    with chunked:
        learnt(token_losses(model, torch.float32, ending=cut(compiled, 15)), model, given)
    assert whole.most == ROWS * TOKENS * VOCAB
    assert chunked.most == 16 * VOCAB  # the head's weight; 15 positions have fewer logits


def test_what_ships_is_cut_where_it_can_be():
    specs = Path(__file__).parents[2] / "specs"
    for path in sorted(specs.glob("*.toml")):
        assert compile_text(path.read_text()).blueprint["ending"] is not None, path.stem
