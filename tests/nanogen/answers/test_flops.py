"""FLOPs: pairs against brute force, the exact count by hand, the convention against published numbers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanogen.answers.flops import (
    convention_per_token,
    decoding_per_token,
    forward,
    of_unit,
    training_per_token,
)
from nanogen.compiler import compile_file, compile_text
from nanogen.graph import Graph, layers_of
from nanogen.load import Flops, Load

SPECS = Path(__file__).parents[3] / "specs"
SMALL = """
kind = "model"
language = 1
[dims]
vocab = 7
context = 16
[module.attention]
q = "linear(x, 12)"
k = "linear(x, 6)"
v = "linear(x, 4)"
mix = "attend(split(q, 4), split(k, 2), split(v, 2), window=WINDOW)"
y = "linear(flatten(mix), 5, bias=true)"
[stack.trunk]
layers = 3
a = "attention(x)"
c = "causal_conv(a, 4)"
x = "x + c"
[model]
embed = "embedding(tokens, 7, 5)"
trunk = "trunk(embed)"
logits = "linear(trunk, vocab)"
"""


def small(window: int | None = None) -> Graph:
    return compile_text(SMALL.replace("WINDOW", "none" if window is None else str(window))).graph


def brute_pairs(rows: int, tokens: int, past: int, window: int | None) -> int:
    seen = (range(past + t + 1) for t in range(tokens))
    return rows * sum(len(keys) if window is None else len(keys[-window:]) for keys in seen)


@given(st.integers(1, 4), st.integers(1, 60), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 130)))
def test_pairs_are_counted_one_by_one(rows: int, tokens: int, past: int, window: int | None):
    assert Load(rows, tokens, past).pairs(window) == brute_pairs(rows, tokens, past, window)


@given(st.integers(1, 60), st.integers(0, 60), st.one_of(st.none(), st.integers(1, 130)))
def test_a_prefill_and_its_steps_see_what_one_pass_sees(tokens: int, past: int, window: int | None):
    steps = sum(Load(1, 1, past + t).pairs(window) for t in range(tokens))
    assert Load(1, tokens, past).pairs(window) == steps
    assert Load(1, past + tokens).pairs(window) == (Load(1, past).pairs(window) if past else 0) + steps


def test_the_square_leaves_the_querys_own_position_out_of_a_window():
    assert Load(2, 8, square=True).pairs(None) == 2 * 8 * 8
    assert Load(2, 8, square=True).pairs(5) == 2 * 8 * 4
    assert Load(2, 8, square=True).pairs(50) == 2 * 8 * 8


WEIGHTS = 3 * 2 * (5 * 12 + 5 * 6 + 5 * 4 + 8 * 5 + 4 * 5) + 2 * 5 * 7  # FLOPs a token, by hand


def attention(seen: int) -> int:
    """FLOPs of a token that sees so many keys: 4 heads of 3 channels, values of 2."""
    return 3 * 2 * seen * 4 * (3 + 2)


@pytest.mark.parametrize("window", [None, 1, 4, 30])
def test_exact_flops_by_hand(window: int | None):
    graph = small(window)
    seen = [min(t + 1, window or 99) for t in range(16)]
    whole = sum(WEIGHTS + attention(keys) for keys in seen)
    assert forward(graph, Load(1, 16)).matmul == whole
    assert forward(graph, Load(3, 16)).matmul == 3 * whole
    assert training_per_token(graph, 16) == 3 * whole / 16
    assert decoding_per_token(graph, 9) == WEIGHTS + attention(seen[9])
    steps = sum(decoding_per_token(graph, t) for t in range(16))
    assert forward(graph, Load(1, 16)).matmul == steps


def test_layers_add_up_to_the_model():
    graph, load = small(), Load(2, 16)
    layers = sum((of_unit(unit, load) for _, _, unit in layers_of(graph)), Flops())
    head = 2 * 5 * 7 * 32
    assert forward(graph, load).weights == layers.weights + head
    assert forward(graph, load).pairs == layers.pairs
    assert layers == of_unit(layers_of(graph)[0][2], load).times(3)


@pytest.mark.parametrize(
    ("name", "overrides", "wanted"),
    [
        ("nanochat_2025", {}, 3_491_758_080),
        ("nanochat_2025", {"depth": 4}, 144_703_488),
        ("nanochat_2025", {"depth": 12}, 1_038_090_240),
        ("nanochat_2025", {"depth": 26}, 6_900_940_800),
        ("nanochat_2025", {"depth": 32}, 12_079_595_520),
        ("saint_iberis_d20", {}, 2_969_095_680),
        ("nanochat_2026", {"depth": 4}, 80_216_496),
        ("nanochat_2026", {"depth": 12}, 759_696_048),
        ("nanochat_2026", {"depth": 20}, 2_886_212_784),
        ("nanochat_2026", {}, 4_775_225_616),
        ("nanochat_2026", {"depth": 26}, 5_991_051_288),
    ],
)
def test_the_convention_against_published_numbers(name: str, overrides: dict, wanted: int):
    compiled = compile_file(SPECS / f"{name}.toml", overrides)
    assert convention_per_token(compiled.graph, 2048) == wanted


def test_attention_that_is_not_there_is_not_counted():
    """The original's script charges all 20 layers; 13 of them have no attention."""
    graph = compile_file(SPECS / "saint_iberis_d20.toml").graph
    as_the_script = 6 * (542_035_200 - 83_886_080) + 12 * 20 * 1280 * 2048
    assert as_the_script == 3_378_040_320
    assert convention_per_token(graph, 2048) == as_the_script - 13 * 12 * 1280 * 2048
    assert forward(graph, Load(1, 1)).weights * 3 == 6 * (542_035_200 - 83_886_080)


@pytest.mark.parametrize(
    "name", ["nanochat_2025", "saint_iberis_d20", "saint_iberis_jp", "saint_iberis_tiny"]
)
def test_exact_training_flops_by_brute_force(name: str):
    graph = compile_file(SPECS / f"{name}.toml").graph
    tokens, width = 37, graph.dims["width"]
    attending = sum(
        "attention" in {*unit.modules.values()} or name == "nanochat_2025" for _, _, unit in layers_of(graph)
    )
    weights = convention_per_token(graph, tokens) - 12 * attending * width * tokens  # 6N
    seen = sum(t + 1 for t in range(tokens))
    assert training_per_token(graph, tokens) == weights + 3 * 4 * attending * width * seen / tokens
