"""What decoding keeps: the tree by hand, what a window bounds, and numbers by hand."""

from pathlib import Path

import pytest
import torch

from nanogen.answers.state import bytes_per_row, bytes_per_token, elements_per_row, leaves, state
from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.load import Load, State
from runtime.decoding.past import allocate_past

SPECS = Path(__file__).parents[3] / "specs"
SMALL = """
kind = "model"
language = 1
[dims]
vocab = 7
context = 100
[module.pair]
args = { window = "none" }
mix = "attend(split(x, 4), split(x, 4)[:2], split(x, 4)[..., :1][:2], window=window)"
axes = "flatten(mix)"
y = "linear(axes, 8)"
[stack.trunk]
layers = 2
a = "pair(x, window=8 if i else none)"
c = "causal_conv(a, 4)"
x = "x + c"
[module.back]
y = "shift(x, 2)"
[model]
embed = "embedding(tokens, 7, 8)"
trunk = "trunk(embed)"
axes = "back(trunk) + back(back(trunk)) + shift(float32(trunk)[:3], 1)[0][..., None]"
logits = "linear(axes, vocab)"
"""


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_text(SMALL)


def test_the_tree_is_that_of_the_equations(compiled: Compiled):
    conv = {"recent": State("recent", (8,), 3)}
    back = {"y": {"recent": State("recent", (8,), 2)}}
    assert state(compiled.graph) == {
        "trunk": [
            {"a": {"mix": {"k": State("k", (2, 2), None), "v": State("v", (2, 1), None)}}, "c": conv},
            {"a": {"mix": {"k": State("k", (2, 2), 8), "v": State("v", (2, 1), 8)}}, "c": conv},
        ],
        "axes": back,
        "axes.1": back,
        "axes.2": back,
        "axes.3": {"recent": State("recent", (3,), 1, "float32")},
    }


def numbers(context: int) -> int:
    whole, eight = context * (4 + 2), min(context, 8) * (4 + 2)
    return whole + eight + 2 * min(context, 3) * 8 + 3 * min(context, 2) * 8 + min(context, 1) * 3


@pytest.mark.parametrize("context", [1, 2, 3, 7, 8, 50, 100])
def test_numbers_by_hand(compiled: Compiled, context: int):
    assert elements_per_row(compiled.graph, context) == numbers(context)
    wide = min(context, 1) * 3
    assert bytes_per_row(compiled.graph, context) == 2 * (numbers(context) - wide) + 4 * wide
    assert bytes_per_token(compiled.graph, 100) == 2 * 6


@pytest.mark.parametrize("capacity", [1, 5, 60])
def test_what_is_allocated_is_what_was_answered(compiled: Compiled, capacity: int):
    past = allocate_past(compiled.blueprint, rows=3, capacity=capacity, dtype=torch.bfloat16)
    tensors = torch.utils._pytree.tree_leaves(past)
    assert sum(t.numel() for t in tensors) == 3 * elements_per_row(compiled.graph, capacity)
    assert sum(t.nbytes for t in tensors) == 3 * bytes_per_row(compiled.graph, capacity)
    assert sum(t.dtype == torch.float32 for t in tensors) == 1  # the shift of a float32 value
    assert not any(t.any() for t in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_bytes_follow_the_dtype_and_wide_state_stays_wide(compiled: Compiled, dtype: torch.dtype):
    past = allocate_past(compiled.blueprint, rows=3, capacity=60, dtype=dtype)
    kept = sum(t.nbytes for t in torch.utils._pytree.tree_leaves(past))
    assert kept == 3 * bytes_per_row(compiled.graph, 60, dtype.itemsize)
    assert bytes_per_row(compiled.graph, 60, 2) == 2 * numbers(60) + 2 * 3
    assert bytes_per_token(compiled.graph, 100, dtype.itemsize) == 6 * dtype.itemsize


def test_the_shipped_specs_by_hand():
    graphs = {p.stem: compile_file(p).graph for p in SPECS.glob("*.toml")}
    assert elements_per_row(graphs["nanochat_2025"], 2048) == 20 * 2 * 1280 * 2048
    assert bytes_per_token(graphs["nanochat_2025"], 2048) == 2 * 20 * 2 * 1280
    assert elements_per_row(graphs["saint_iberis_d20"], 2048) == 7 * 2 * 1280 * 2048 + 13 * 2 * 1280
    assert bytes_per_token(graphs["saint_iberis_d20"], 2048) == 2 * 7 * 2 * 1280
    assert elements_per_row(graphs["saint_iberis_jp"], 100) == 6 * 2 * 1024 * 100 + 10 * 2 * 1024
    assert len(leaves(state(graphs["saint_iberis_d20"]), Load())) == 7 * 2 + 13


def test_a_model_that_sees_no_past_keeps_nothing():
    text = """
kind = "model"
language = 1
[dims]
vocab = 7
context = 8
[model]
embed = "embedding(tokens, 7, 8)"
logits = "linear(embed, vocab)"
"""
    compiled = compile_text(text)
    assert state(compiled.graph) == {}
    assert elements_per_row(compiled.graph, 8) == bytes_per_token(compiled.graph, 8) == 0
