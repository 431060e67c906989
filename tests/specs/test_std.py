"""The library of modules: each is used by a small model that compiles, counts, trains, and decodes as it reads."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from nanogen.compiler import Compiled, compile_text
from nanogen.shelf import library, shelf
from runtime.decoding.generation import generate
from runtime.decoding.request import Sampling
from runtime.model import build, initialize
from runtime.optimizer import Entry, Optimizer
from tests.nanogen.running import in_pieces
from tests.rules import rules

WIDTH, HEADS, KV_HEADS, DEPTH, VOCAB, LENGTH = 32, 4, 2, 3, 29, 24
CHANNELS = WIDTH // HEADS  # of a head
TABLES = 2 * VOCAB * WIDTH  # embedding and head
DENSE = 4 * WIDTH**2  # attention, each head with its own keys and values
GROUPED = 2 * WIDTH * CHANNELS * (HEADS + KV_HEADS)
SWIGLU = 3 * WIDTH * 128  # 8 / 3 of the width, up to the next 64
RELU2 = 8 * WIDTH**2

SPEC = """
kind     = "model"
language = 1
use      = [{use}]
[dims]
depth   = 3
width   = 32
vocab   = 29
context = 24
{dims}
{tables}
[model]
embed  = "embedding(tokens, vocab, width)"
trunk  = "{trunk}"
logits = "linear({last}, vocab, role=head)"
"""
STACK = """
[stack.trunk]
layers = "depth"
x      = "{layer}"
"""
LANES = """
[stack.trunk]
inputs = ["s"]
layers = "depth"
h      = "{hyper}(s, branch=attention{first})"
s      = "{hyper}(h, branch=relu2{second})"
"""
GROUPS = "heads = 4\nkv_heads = 2"


@frozen
class Case:
    """A small model around what one file of the library has."""

    use: str  # names of files
    parameters: int  # of the trunk, by hand
    layer: str = ""  # what leaves a layer
    dims: str = "heads = 4"
    tables: str = ""
    trunk: str = "trunk(embed)"
    last: str = "trunk"

    @property
    def text(self) -> str:
        use = ", ".join(f'"std/{name}.toml"' for name in self.use.split())
        tables = STACK.format(layer=self.layer) if self.layer else self.tables
        return SPEC.format(use=use, dims=self.dims, tables=tables, trunk=self.trunk, last=self.last)


def layered(name: str, norms: int) -> Case:
    """One of the ways in which a layer joins its two branches; `norms` have a gain of the width each."""
    counted = DEPTH * (DENSE + RELU2 + norms * WIDTH)
    return Case("layers attention relu2", counted, f"{name}(x, mixer=attention, mlp=relu2)")


CASES = {
    "swiglu": Case("swiglu", DEPTH * SWIGLU, "x + swiglu(rms_norm(x))", dims=""),
    "swiglu hidden": Case("swiglu", DEPTH * 3 * WIDTH * 40, "x + swiglu(rms_norm(x))", dims="hidden = 40"),
    "geglu": Case("swiglu", DEPTH * SWIGLU, "x + geglu(rms_norm(x))", dims=""),
    "relu2": Case("relu2", DEPTH * RELU2, "x + relu2(rms_norm(x))", dims=""),
    "attention": Case("attention", DEPTH * DENSE, "x + attention(rms_norm(x))", dims=""),
    "attention normed": Case(
        "attention",
        DEPTH * (GROUPED + 2 * CHANNELS),
        "x + attention(rms_norm(x), window=none if i == 2 else 5, base=1000 if i == 2 else rope_base)",
        dims=f"{GROUPS}\nqk_norm = 1",
    ),
    "sink_attention": Case(
        "sink_attention",
        DEPTH * (GROUPED + (HEADS + 2 * KV_HEADS) * CHANNELS + WIDTH + HEADS),
        "x + sink_attention(rms_norm(x), window=none if i % 2 else 5)",
        dims=GROUPS,
    ),
    "short_conv": Case("short_conv", DEPTH * (4 * WIDTH + 3) * WIDTH, "x + short_conv(rms_norm(x))", dims=""),
    "slc2": Case(
        "slc2",
        DEPTH * (3 * WIDTH**2 + WIDTH * (HEADS + CHANNELS + 4)),
        "x + slc2(rms_norm(x))",
        dims="heads = 4\nkernel = 4",
    ),
    "pre_norm": layered("pre_norm", 2),
    "sandwich_branch": layered("sandwich_branch", 4),
    "sandwich_sum": layered("sandwich_sum", 4),
    "parallel": layered("parallel", 1),
    "unet": Case(
        "unet layers attention relu2",
        DEPTH * (DENSE + RELU2 + 2 * WIDTH) + 1,
        tables='[module.layer]\ny = "pre_norm(x, mixer=attention, mlp=relu2)"',
        trunk="unet(embed)",
    ),
    "value_residual": Case(
        "value_residual",
        DEPTH * (GROUPED + SWIGLU + 2 * WIDTH) + 2 * (DEPTH - 1),
        dims=GROUPS,
        trunk="value_trunk(embed)",
    ),
    "lanes": Case(
        "lanes attention relu2",
        DEPTH * (DENSE + RELU2 + 2 * ((WIDTH + 2) * (2 + 2) + 2 + 3 * WIDTH)),
        tables=LANES.format(hyper="hyper", first=", lane=2 * i % lanes", second=", lane=(2 * i + 1) % lanes"),
        trunk="trunk(repeat(embed, lanes))",
        last="einsum('nd->d', trunk)",
    ),
}
TOKENS = torch.randint(VOCAB, (2, LENGTH + 1), generator=torch.Generator().manual_seed(1))


def model_of(text: str) -> tuple[Compiled, nn.Module]:
    compiled = compile_text(text)
    assert not compiled.warnings
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    return compiled, model


@lru_cache
def trained(name: str) -> tuple[Compiled, nn.Module, list[float], set[str]]:
    """A case's model after two steps of the optimizer that runs have; its losses, and parameters never moved."""
    compiled, model = model_of(CASES[name].text)
    before = {path: parameter.detach().clone() for path, parameter in model.named_parameters()}
    roles = {p["path"]: p["role"] for p in compiled.blueprint["parameters"]}
    entries = [Entry(path, roles[path], parameter) for path, parameter in model.named_parameters()]
    optimizer = Optimizer(entries, rules(WIDTH))
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())
        loss.backward()
        optimizer.step(1.0, 0.9)
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    still = {path for path, parameter in model.named_parameters() if torch.equal(parameter, before[path])}
    return compiled, model, losses, still


def test_every_file_is_tried_and_all_go_together():
    files = {use for case in CASES.values() for use in case.use.split()}
    assert files == {p.stem for p in (shelf() / "std").glob("*.toml")}
    everything = ", ".join(f'"{name}"' for name in library())
    layer = '[module.layer]\ny = "pre_norm(x, mixer=attention, mlp=swiglu)"'
    text = Case("", 0, tables=layer, trunk="unet(embed)").text.replace(
        "use      = []", f"use = [{everything}]"
    )
    assert not compile_text(text).warnings


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_those_counted_by_hand(name: str):
    assert trained(name)[0].blueprint["count"] == CASES[name].parameters + TABLES


@pytest.mark.parametrize("name", CASES)
def test_two_steps_move_every_parameter(name: str):
    _, model, losses, still = trained(name)
    assert still == set()
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert max(losses) < 10


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cuts", [range(LENGTH + 1), (0, 7, 8, 17, LENGTH)], ids=["one by one", "in chunks"])
def test_cached_decoding_is_the_full_forward(name: str, cuts):
    compiled, model, _, _ = trained(name)
    tokens = TOKENS[:, :LENGTH]
    with torch.inference_mode():
        whole = model(tokens)
        found = in_pieces(model, compiled.blueprint, tokens, cuts)
    assert torch.allclose(found, whole, rtol=0, atol=1e-4 * float(whole.abs().max()))


def test_the_engine_writes_with_a_library_model():
    compiled, model, _, _ = trained("lanes")
    found = generate(model, compiled.blueprint, [1, 2], tokens=5, sampling=Sampling(temperature=0))
    tokens = [1, 2]
    while len(tokens) < 7:
        tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    assert found == [tokens[2:]]


# -- what the equations mean


def logits(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model(TOKENS[:, :LENGTH])


def test_lanes_start_as_a_plain_residual_stream():
    plain = """
[module.block]
inputs = ["s"]
args   = { branch = "attention" }
normed = "rms_norm(s, gain=true)"
out    = "branch(normed)"
y      = "s + out"
"""
    case = CASES["lanes"]
    stack = LANES.format(hyper="block", first="", second="")
    other = Case("attention relu2", 0, tables=plain + stack, last="2 * trunk")
    assert torch.allclose(logits(model_of(case.text)[1]), logits(model_of(other.text)[1]), atol=1e-4)


def test_lanes_are_read_in_turn():
    _, model = model_of(CASES["lanes"].text.replace("width   = 32", "width   = 32\nlanes   = 3"))
    weights = dict(model.named_parameters())
    read = [weights[f"trunk.{i}.{branch}.read"].tolist() for i in range(DEPTH) for branch in "hs"]
    assert read == 2 * [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_values_of_the_first_layer_reach_the_others():
    _, model = model_of(CASES["value_residual"].text)
    weights = dict(model.named_parameters())
    for i in range(1, DEPTH):
        weights[f"trunk.{i}.attn.keep"].data.zero_()
    before = logits(model)
    for i in range(1, DEPTH):  # no longer read
        weights[f"trunk.{i}.attn.v.weight"].data.normal_()
    assert torch.equal(logits(model), before)
    for i in range(1, DEPTH):
        weights[f"trunk.{i}.attn.blend"].data.zero_()
    assert not torch.allclose(logits(model), before)


def test_a_unet_joins_mirrored_layers():
    by_hand = """
[stack.unet]
layers = "depth"
skip   = "parameter(init=1)"
joined = "x + skip * at(x, 0) if i == 3 else x + skip * at(x, 1) if i == 2 else x"
x      = "layer(joined)"
"""
    case = CASES["unet"]
    text = case.text.replace("depth   = 3", "depth   = 4")
    other = text.replace('"std/unet.toml", ', "").replace("[model]", by_hand + "[model]")
    assert torch.allclose(logits(model_of(text)[1]), logits(model_of(other)[1]), atol=1e-5)
