"""Which linear maps pay in 8 bits: those in regions, large, of the run's dtype; and their share of a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nanogen.answers.float8 import LEAST, float8_flops, float8_maps
from nanogen.answers.flops import forward, training
from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.load import Load
from runtime.float8 import Float8Linear, to_float8
from runtime.model import build, initialize
from runtime.primitives import Linear, Now
from tests.saved_bytes import saved_bytes

SPECS = sorted((Path(__file__).parents[3] / "specs").glob("*.toml"))
LAYER = """
kind = "model"
language = 1
[dims]
vocab = 512
context = 64
[module.attention]
q = "linear(x, 256)"
gate = "linear(x, 16)"
mix = "attend(split(q, 4), split(q, 4), split(q, 4))"
y = "linear(concat(flatten(mix), gate), {width})"
[stack.trunk]
layers = 2
a = "attention(x)"
x = "x + a"
[model]
e = "embedding(tokens, vocab, {width})"
before = "linear(e, {width})"
trunk = "trunk(before)"
after = "linear(trunk, {width})"
logits = "linear(after, vocab, role=head)"
"""
LOOPED = """
kind = "model"
language = 1
[dims]
vocab = 512
context = 64
[dial.r]
default = 3
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 2
both = "linear(concat(e, s), 128)"
s = "rms_norm(both)"
[model]
e = "embedding(tokens, vocab, 128)"
think = "think(e, e)"
logits = "linear(think, vocab)"
"""


def found(width: int) -> list[str]:
    compiled = compile_text(LAYER.format(width=width))
    assert compiled.blueprint["float8"] == float8_maps(compiled.graph)
    return float8_maps(compiled.graph)


def test_maps_of_layers_alone():
    """Not what stands before or behind the layers, the head least of all, and no gate."""
    assert found(256) == ["trunk.0.a.q", "trunk.0.a.y", "trunk.1.a.q", "trunk.1.a.y"]


@pytest.mark.parametrize(
    ("width", "taken"), [(LEAST, True), (LEAST - 16, False), (LEAST + 8, False), (LEAST + 16, True)]
)
def test_both_sizes_are_multiples_and_large(width: int, taken: bool):
    assert bool(found(width)) == taken


def test_a_value_that_stays_wide_is_multiplied_as_it_was():
    wide = LAYER.format(width=256).replace(
        "concat(flatten(mix), gate)", "float32(concat(flatten(mix), gate))"
    )
    assert float8_maps(compile_text(wide).graph) == ["trunk.0.a.q"]  # the next layer reads what is wide


def test_the_turns_of_a_loop_share_a_map_and_each_multiplies():
    graph = compile_text(LOOPED).graph
    assert float8_maps(graph) == ["think.both"]
    once, load = 2 * 64 * 256 * 128, Load(1, 64)
    assert float8_flops(graph, load) == (3 + 2 * 2) * once  # forward in three turns, back in two


def test_flops_are_those_of_the_maps():
    graph = compile_text(LAYER.format(width=256)).graph
    assert float8_flops(graph, Load(3, 64)) == 3 * 3 * 2 * 2 * 64 * (256 + 272) * 256
    assert float8_flops(compile_text(LAYER.format(width=112)).graph, Load(3, 64)) == 0


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_models_multiply_much_in_8_bits_and_never_the_head(path: Path):
    compiled = compile_file(path, {})
    paths, load = float8_maps(compiled.graph), Load(1, 256)
    assert len(set(paths)) == len(paths)
    shapes = {p["path"]: p["shape"] for p in compiled.blueprint["parameters"]}
    assert all(min(shapes[f"{p}.weight"]) >= LEAST for p in paths)
    assert all(size % 16 == 0 for p in paths for size in shapes[f"{p}.weight"])
    assert not any("head" in p.split(".") for p in paths)
    share = float8_flops(compiled.graph, load) / training(compiled.graph, load).matmul
    assert 0.3 < share < 1


def test_what_is_counted_is_all_or_some():
    graph, load = compile_text(LAYER.format(width=256)).graph, Load(2, 64)
    assert training(graph, load, only=lambda node: True) == training(graph, load)
    assert training(graph, load, only=lambda node: False).matmul == 0
    assert forward(graph, load, only=lambda node: True) == forward(graph, load)


# -- as it runs


def saved(compiled: Compiled, *, float8: bool) -> int:
    model: Any = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    tokens = torch.zeros(2, 64, dtype=torch.int64)
    now = Now.start(tokens, torch.bfloat16)
    if not float8:
        return saved_bytes(model, tokens, now)
    with to_float8(model, compiled.blueprint["float8"], "cpu").turned_on():
        return saved_bytes(model, tokens, now)


@pytest.mark.parametrize("name", ["nanochat_2025", "nanochat_2026", "saint_iberis_d20", "looped"])
def test_backward_keeps_no_more_than_in_bfloat16(name: str):
    """So that a plan whose memory is reckoned in bfloat16 holds for both."""
    sizes = {"width": 128, "vocab": 256, "context": 64}
    path = next(path for path in SPECS if path.stem == name)
    heads = {"heads": 2, "depth": 4}
    own = {"looped": {}, "saint_iberis_d20": {**heads, "depth": 5, "attends": [1, 4]}}.get(name, heads)
    compiled = compile_file(path, {**sizes, **own})
    assert saved(compiled, float8=True) < saved(compiled, float8=False)


def test_the_maps_are_the_modules_at_their_paths():
    compiled = compile_text(LAYER.format(width=256))
    model = build(compiled.source, compiled.blueprint)
    to_float8(model, float8_maps(compiled.graph), "cpu")
    narrow = [path for path, module in model.named_modules() if isinstance(module, Float8Linear)]
    others = [path for path, module in model.named_modules() if type(module) is Linear]
    assert narrow == float8_maps(compiled.graph)
    assert others == ["before", "trunk.0.a.gate", "trunk.1.a.gate", "after", "logits"]
