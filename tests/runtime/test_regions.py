"""Regions: one graph a kind, no more over steps or turns, and the numbers of the code as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanogen.compiler import Compiled, compile_text
from runtime.losses import TokenLosses, token_losses
from runtime.model import build, initialize
from runtime.regions import compile_regions, compiled

# torch hides this one by itself, unless warnings are errors
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

SPECS = Path(__file__).parents[2] / "specs"
SIZES = {"head_dim": 8, "vocab": 40, "context": 8}
TOKENS = torch.arange(18).view(2, 9) * 7 % 40
TURNED = """
kind = "model"
language = 1
[dims]
vocab = 40
context = 8
[dial.r]
default = 2
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 2
both = "linear(concat(e, s), 8, init=eye)"
mix = "attend(split(both, 2), split(both, 2), split(both, 2))"
s = "rms_norm(both + flatten(mix))"
[model]
e = "embedding(tokens, vocab, 8)"
think = "think(e, e)"
logits = "linear(think, vocab)"
"""
NOISY = TURNED.replace("flatten(mix))", "flatten(mix) + noise(both, std=0.1))")


class Counter:
    """A backend that runs a graph as it is, and counts."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def spec(name: str, **sizes: int) -> Compiled:
    text = (SPECS / f"{name}.toml").read_text()
    return compile_text(text, {**SIZES, **sizes})


def model_of(compiled: Compiled) -> nn.Module:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():  # zeros would hide what a layer computes
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return model


def counted(built: Compiled) -> tuple[TokenLosses, Counter]:
    """The losses of a model whose regions are counted as they are compiled."""
    counter, model = Counter(), model_of(built)
    compile_regions(model, built.blueprint["regions"], counter)
    return token_losses(model, torch.float32, lambda step: compiled(step, counter)), counter


def train(losses: TokenLosses, r: int | None = None) -> None:
    seed = torch.tensor(r or 0)
    losses(TOKENS[:, :-1], TOKENS[:, 1:], seed, dials={} if r is None else {"r": r}).sum().backward()


LOOPED = {"size": 1, "width": 16}


@pytest.mark.parametrize(
    ("built", "graphs"),
    [
        # prelude, coda, head; two kinds of layers in the loop, with gradients and without
        pytest.param(lambda: spec("looped", **LOOPED), 3 + 2 * 2, id="looped"),
        # head; turns that gradients reach, and that they do not, each with both inputs one tensor (the first turn)
        # or two; and the turn at which gradients begin
        pytest.param(lambda: compile_text(TURNED), 1 + 5, id="turned"),
        pytest.param(lambda: compile_text(NOISY), 1 + 5, id="noisy"),
    ],
)
def test_graphs_do_not_grow_with_the_turns(built: Callable[[], Compiled], graphs: int):
    losses, counter = counted(built())
    for r in (1, 6):
        train(losses, r)
    seen = counter.graphs
    for r in (2, 3, 4, 5, 3, 6):
        train(losses, r)
    assert (seen, counter.graphs) == (graphs, graphs)


def test_evaluation_between_steps_adds_no_graph_after_its_first():
    losses, counter = counted(compile_text(NOISY))
    seen = []
    for _ in range(3):
        for r in (1, 6):
            train(losses, r)
        losses(TOKENS[:, :-1], TOKENS[:, 1:])
        seen.append(counter.graphs)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    ("name", "sizes", "graphs"),
    [
        ("nanochat_2025", {"depth": 3, "width": 16, "heads": 2}, 1 + 1),
        ("saint_iberis_tiny", {"depth": 5, "width": 16, "heads": 2}, 2 + 1),
        # three kinds by window and value embedding, and the first layer, whose inputs are one tensor
        ("nanochat_2026", {"depth": 4, "width": 24, "heads": 3}, 3 + 1 + 1),
    ],
)
def test_a_kind_of_layers_is_compiled_once_and_no_step_compiles_again(name: str, sizes: dict, graphs: int):
    losses, counter = counted(spec(name, **sizes))
    for _ in range(3):
        train(losses)
    assert counter.graphs == graphs


def test_regions_compute_what_the_code_as_it_is_does():
    built = compile_text(TURNED)
    plain, regional = model_of(built), model_of(built)
    compile_regions(regional, built.blueprint["regions"], "aot_eager")
    train(token_losses(plain, torch.float32), 4)
    train(token_losses(regional, torch.float32, lambda step: compiled(step, "aot_eager")), 4)
    found, wanted = dict(regional.named_parameters()), dict(plain.named_parameters())
    assert list(found) == list(wanted)
    for name, parameter in wanted.items():
        assert parameter.grad is not None
        assert torch.allclose(found[name].grad, parameter.grad, atol=1e-4), name  # type: ignore[arg-type]


def test_a_model_without_layers_is_one_region():
    text = (
        TURNED[: TURNED.index("[dial")]
        + '[model]\ne = "embedding(tokens, vocab, 8)"\nlogits = "linear(e, vocab)"'
    )
    built = compile_text(text)
    assert built.blueprint["regions"] == []
    losses, counter = counted(built)
    for _ in range(2):
        train(losses)
    assert counter.graphs == 1


def test_what_is_no_single_graph_is_refused():
    def broken(x: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return x + 1

    with pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(broken, Counter())(torch.zeros(2))
