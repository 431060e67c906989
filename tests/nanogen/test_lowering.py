"""The compiler proves what it counts: the source owns those parameters, and torch can compile it whole."""

from __future__ import annotations

import copy
from pathlib import Path

import attrs
import pytest
import torch

from nanogen.answers.flops import backward, decoding_per_token, forward, training_per_token
from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.load import Load, State
from nanogen.lowering import prove, prove_flops, prove_state
from nanogen.primitives.attend import Attend
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.trace import trace_decoding, trace_training

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.toml"))
TINY = SPECS[0].parent / "saint_iberis_tiny.toml"
ZOO = SPECS[0].parent / "zoo"
GPT = SPECS[0].parent / "nanochat_2025.toml"


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_shipped_spec_is_proven(path: Path):
    compiled = compile_file(path)
    model = prove(compiled)
    assert sum(p.numel() for p in model.parameters()) == compiled.blueprint["count"]
    assert all(p.is_meta for p in model.parameters())


def tampered(change) -> Compiled:
    """A compiled model whose blueprint was changed behind its back."""
    compiled = compile_file(TINY)
    blueprint = copy.deepcopy(compiled.blueprint)
    change(blueprint)
    other = attrs.evolve(compiled)
    object.__setattr__(other, "blueprint", blueprint)
    return other


def drop(blueprint: dict) -> None:
    del blueprint["parameters"][3]


def reshape(blueprint: dict) -> None:
    blueprint["parameters"][0]["shape"] = blueprint["parameters"][0]["shape"][::-1]


def rename(blueprint: dict) -> None:
    blueprint["parameters"][2]["path"] += "s"


def miscount(blueprint: dict) -> None:
    blueprint["count"] += 1


@pytest.mark.parametrize("change", [drop, reshape, rename, miscount])
def test_a_blueprint_that_parts_from_the_source_is_refused(change):
    with pytest.raises(AssertionError):
        prove(tampered(change))


def test_the_difference_names_the_path():
    with pytest.raises(AssertionError, match=r"embed\.weight"):
        prove(tampered(reshape))


@pytest.mark.parametrize(("path", "depth"), [(GPT, 1), (TINY, 2)], ids=["gpt", "saint_iberis"])
def test_torch_compiles_the_whole_model_without_a_break(path: Path, depth: int):
    sizes = {"depth": depth, "width": 32, "heads": 4, "vocab": 64, "context": 16}
    compiled = compile_file(path, sizes)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():  # zeros would hide what a layer computes
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    tokens = torch.arange(32).view(2, 16)

    def logits(ids: torch.Tensor) -> torch.Tensor:
        return model(ids, Now.start(ids))

    whole = torch.compile(logits, fullgraph=True, dynamic=False, backend="aot_eager")
    assert torch.allclose(whole(tokens), logits(tokens), atol=1e-5)
    whole(tokens).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


GOOD = sorted((Path(__file__).parent / "good").glob("*.toml"))


@pytest.mark.parametrize("path", [*SPECS, *GOOD], ids=lambda p: p.stem)
def test_flops_and_state_are_proven(path: Path):
    """At the size as shipped: backward is what is counted, exactly."""
    compiled = compile_file(path)
    prove_state(compiled)
    proof = prove_flops(compiled, prove(compiled))
    assert proof.backward == backward(compiled.graph, Load(1, proof.tokens)).matmul
    assert proof.forward + proof.backward == training_per_token(compiled.graph, proof.tokens) * proof.tokens
    assert proof.decoding == decoding_per_token(compiled.graph, proof.past)


@pytest.mark.parametrize("turns", [1, 2, 5])
@pytest.mark.parametrize("name", ["looped", "huginn"])
def test_flops_and_state_are_proven_wherever_a_dial_stands(name: str, turns: int):
    sizes = {"width": 24, "heads": 4, "head_dim": 6, "vocab": 11, "context": 16}
    sizes |= {"reached": 2} if name == "looped" else {"hidden": 20}
    compiled = compile_file(SPECS[0].parent / f"{name}.toml", sizes)
    prove_state(compiled, {"r": turns})
    proof = prove_flops(compiled, prove(compiled), {"r": turns})
    load = Load(1, proof.tokens, dials={"r": turns})
    assert proof.forward == forward(compiled.graph, load).matmul
    assert (proof.backward == 2 * proof.forward) == (turns <= (2 if name == "looped" else 8))


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.toml")), ids=lambda p: p.stem)
def test_published_models_are_proven(path: Path):
    lists = {"attends": [2, 5]} if "attends" in path.read_text() else {}
    compiled = compile_file(path, {"depth": 6, **lists})
    proof = prove_flops(compiled, prove(compiled))
    assert proof.backward == 2 * proof.forward


WINDOWED = """
kind = "model"
language = 1
[dims]
vocab = 11
context = 64
[model]
e = "embedding(tokens, vocab, 12)"
c = "causal_conv(e, 4)"
q = "split(linear(c, 12), 4)"
k = "split(linear(c, 6), 2)"
mix = "attend(q, k, k[..., :2], window=WINDOW)"
logits = "linear(flatten(mix), vocab)"
"""


@pytest.mark.parametrize("window", ["none", "1", "9", "64", "80"])
@pytest.mark.parametrize(
    ("rows", "tokens", "past"), [(3, 5, 0), (2, 9, 0), (1, 13, 0), (1, 1, 12), (2, 7, 5)]
)
def test_rows_on_either_side_of_a_window(window: str, rows: int, tokens: int, past: int):
    compiled = compile_text(WINDOWED.replace("WINDOW", window))
    model, load = prove(compiled), Load(rows, tokens, past)
    counted = forward(compiled.graph, load).matmul
    assert trace_decoding(model, compiled.blueprint, rows=rows, tokens=tokens, past=past) == counted
    if not past:
        assert trace_training(model, rows=rows, tokens=tokens) == (counted, 2 * counted)


def test_what_leaves_the_last_layer_and_is_read_by_none_has_no_backward():
    """The one case in which a forward pass is not a third of training."""
    text = (
        WINDOWED.split("[model]")[0]
        + """
[stack.trunk]
inputs = ["x", "s"]
layers = 3
turned = "linear(s, 12)"
x = "x + s"
s = "turned"
[model]
e = "embedding(tokens, vocab, 12)"
t = "trunk(e, e)"
logits = "linear(t, vocab)"
"""
    )
    compiled, load = compile_text(text), Load(1, 5)
    whole, last = forward(compiled.graph, load).matmul, 2 * 5 * 12 * 12
    assert trace_training(prove(compiled), rows=1, tokens=5) == (whole, 2 * whole - 2 * last)
    assert backward(compiled.graph, load).matmul == 2 * whole - 2 * last
    prove_flops(compiled, prove(compiled))


def test_a_count_that_parts_from_the_source_is_refused(monkeypatch):
    compiled = compile_text(WINDOWED.replace("WINDOW", "9"))
    compiled.source, compiled.blueprint  # noqa: B018  as they were before a rule was changed
    rule = Attend.flops
    monkeypatch.setattr(Attend, "flops", lambda self, load, *v: rule(attrs.evolve(self, window=10), load, *v))
    with pytest.raises(AssertionError, match="forward and backward"):
        prove_flops(compiled, prove(compiled))
    monkeypatch.setattr(Attend, "state", lambda self, q, k, v: (State("k", k.axes, 9),))
    with pytest.raises(AssertionError, match="bytes allocated"):
        prove_state(compiled)
