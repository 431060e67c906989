"""Saved activations: whole models by hand, and against what autograd keeps."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import pytest
import torch

from nanogen.answers.saved import Kept, saved
from nanogen.compiler import Compiled, compile_text
from nanogen.load import Load
from nanogen.primitives.attend import PART
from runtime import row_attention
from runtime.model import build, initialize
from runtime.primitives import Now
from tests.saved_bytes import saved_bytes

SPECS = Path(__file__).parents[3] / "specs"
ROWS, TOKENS = 2, 32
CAST = ("matrix", "head", "conv")  # roles of the weights that values are multiplied with


def compiled_of(body: str) -> Compiled:
    return compile_text(f'kind = "model"\nlanguage = 1\n[dims]\nvocab = 64\ncontext = 64\nwidth = 16\n{body}')


def counted(compiled: Compiled, dtype: torch.dtype = torch.float32) -> Kept:
    return saved(compiled.graph, Load(ROWS, TOKENS), narrow=dtype.itemsize < 4)


def kept(compiled: Compiled, dtype: torch.dtype = torch.float32) -> int:
    """Bytes that a forward pass leaves for backward: storages, each once, without weights and their casts."""
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    tokens = torch.zeros(ROWS, TOKENS, dtype=torch.int64)
    stored = saved_bytes(model, tokens, Now.start(tokens, dtype))
    casts = [p for p in compiled.blueprint["parameters"] if p["role"] in CAST or tied(p["path"], compiled)]
    casts = casts if dtype.itemsize < 4 else []
    return stored - sum(prod(p["shape"]) * uses(p["path"], compiled) for p in casts) * dtype.itemsize


def tied(path: str, compiled: Compiled) -> bool:
    return compiled.name == "huginn" and path == "embed.weight"


def uses(path: str, compiled: Compiled) -> int:
    """How often a weight is copied for backward: once a turn that gradients reach."""
    reached = {"looped": 4, "trelis_recursive": 4, "huginn": 8}.get(compiled.name, 1)
    return reached if path.startswith("think.") else 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_shipped_specs_keep_what_was_counted(path: Path, dtype: torch.dtype):
    text = re.sub(r"depth +=.*", "depth = 5", path.read_text())
    text = re.sub(r"attends +=.*", "attends = [1, 4]", text, count=1)
    text = re.sub(r"head_dim += \d+", "head_dim = 16", text)
    compiled = compile_text(text, {"width": 64, "heads": 4, "vocab": 256, "context": 64})
    found = counted(compiled, dtype).bytes(dtype.itemsize)
    assert found == pytest.approx(kept(compiled, dtype), rel=0.01)


def elements(width: int) -> int:
    return ROWS * TOKENS * width


BY_HAND = {
    "a chain of linears": (
        """
[model]
e = "embedding(tokens, vocab, width)"
a = "linear(e, 8)"
logits = "linear(a, vocab)"
""",
        Kept(run=elements(16 + 8), ids=elements(1)),
    ),
    "a value that three read": (
        """
[model]
e = "embedding(tokens, vocab, width)"
a = "linear(e, 8)"
b = "linear(e, 8)"
c = "square(e)"
d = "linear(a + b, vocab)"
h = "linear(c, vocab)"
logits = "h + d"
""",
        Kept(run=elements(16 + 8 + 16), ids=elements(1)),
    ),
    "views of one value": (
        """
[model]
e = "embedding(tokens, vocab, width)"
a = "square(split(e, 4)[1:])"
b = "silu(flatten(split(e, 2)))"
logits = "linear(b + flatten(a)[0], vocab)"
""",
        # e, b + .., and a is not kept: what reads it is a sum
        Kept(run=elements(16 + 16), ids=elements(1)),
    ),
    "a flattened part is a copy": (
        """
[model]
e = "embedding(tokens, vocab, width)"
a = "linear(flatten(split(e, 4)[..., :2]), vocab)"
logits = "a"
""",
        Kept(run=elements(8), ids=elements(1)),
    ),
    "a module keeps its result, and its reader does not again": (
        """
[module.gate]
a = "linear(x, width)"
y = "sigmoid(a)"
[model]
e = "embedding(tokens, vocab, width)"
g = "gate(e)"
logits = "linear(g, vocab)"
""",
        Kept(run=elements(16 + 16), ids=elements(1)),
    ),
    "a module that hands its input on": (
        """
[module.same]
y = "split(x, 4)"
[model]
e = "embedding(tokens, vocab, width)"
s = "same(e)"
logits = "linear(square(flatten(s)) + e * e, vocab)"
""",
        Kept(run=elements(16 + 16), ids=elements(1)),
    ),
    "layers that keep what entered": (
        """
[stack.trunk]
layers = 3
a = "linear(x, width)"
x = "x + a"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e)"
logits = "linear(t, vocab)"
""",
        Kept(run=elements(4 * 16), ids=elements(1)),
    ),
    "layers that keep what leaves": (
        """
[stack.trunk]
layers = 3
a = "linear(x, width)"
x = "sigmoid(a)"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e)"
logits = "linear(t, vocab)"
""",
        Kept(run=elements(4 * 16), ids=elements(1)),
    ),
    "two carried values, of which one is kept below": (
        """
[stack.trunk]
inputs = ["x", "s"]
layers = 2
a = "linear(x, width)"
x = "a + s"
s = "sigmoid(s)"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e, 2 * e)"
logits = "linear(t, vocab)"
""",
        # x enters twice and leaves to the head; s leaves the first layer alone: the last one's is read by none
        Kept(run=elements(3 * 16 + 2 * 16), ids=elements(1)),
    ),
    "an input that a later layer alone keeps": (
        """
[module.plain]
inputs = ["x", "x0"]
y = "x + x0"
[module.times]
inputs = ["x", "x0"]
y = "x * square(x0)"
[stack.trunk]
inputs = ["x", "x0"]
layers = 2
how = { plain = [0], times = [1] }
x = "how(x, x0)"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e, rms_norm(e))"
logits = "linear(t, vocab)"
""",
        # e and its roots, the norm, x of layer 1, the square, t
        Kept(run=elements(5 * 16), wide=elements(1), ids=elements(1)),
    ),
    "wide values": (
        """
[model]
e = "embedding(tokens, vocab, width)"
a = "linear(e, vocab)"
logits = "softcap(float32(a), 15)"
""",
        Kept(run=elements(16), wide=elements(64), ids=elements(1)),
    ),
    "turns that gradients reach, and what entered the first of them": (
        """
[loop.think]
inputs = ["s", "e"]
times = 5
backprop = 2
both = "linear(s, width)"
s = "silu(both) + e"
[model]
e = "embedding(tokens, vocab, width)"
t = "think(rms_norm(e), e)"
logits = "linear(t, vocab)"
""",
        # of each reached turn s as it entered and both; t; the norm's input and root, which no gradient passes
        Kept(run=elements(2 * 2 * 16 + 16 + 16), wide=elements(1), ids=elements(1)),
    ),
    "all turns": (
        """
[loop.think]
inputs = ["s", "e"]
times = 3
both = "linear(s, width)"
s = "silu(both) + e"
[model]
e = "embedding(tokens, vocab, width)"
t = "think(e, e)"
logits = "linear(t, vocab)"
""",
        Kept(run=elements(3 * 2 * 16 + 16), ids=elements(1)),
    ),
    "what an unreached turn left, and the first reached one keeps": (
        """
[loop.think]
inputs = ["s", "e"]
times = 3
backprop = 1
both = "linear(s, width)"
s = "tanh(both + e)"
[model]
e = "embedding(tokens, vocab, width)"
t = "think(e, e)"
logits = "linear(t, vocab)"
""",
        # s as it entered the last turn, and as it left
        Kept(run=elements(2 * 16), ids=elements(1)),
    ),
    "the result of a call, read inside it and by its name": (
        """
[module.gate]
a = "linear(x, width)"
y = "silu(a)"
[model]
e = "embedding(tokens, vocab, width)"
g = "gate(e)"
logits = "linear(square(g) + square(g.y), vocab)"
""",
        Kept(run=elements(4 * 16), ids=elements(1)),
    ),
    "turns that are looked up": (
        """
[loop.think]
inputs = ["s"]
times = 3
t = "embedding(turn, 4, width)"
s = "silu(s + t)"
[model]
e = "embedding(tokens, vocab, width)"
t = "think(e)"
logits = "linear(t, vocab)"
""",
        Kept(run=elements(3 * 16 + 16), ids=elements(1) + 3),
    ),
    "a value of layer 0 that later layers keep, once": (
        """
[module.mixer]
inputs = ["x", "first"]
v = "linear(x, width)"
y = "v * first"
[stack.trunk]
layers = 3
first = "at(mix.v, 0) if i > 0 else x"
mix = "mixer(x, first)"
x = "x + mix"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e)"
logits = "linear(t, vocab)"
""",
        # what entered each layer, and v of each, which layer 0 keeps for the later ones too; t
        Kept(run=elements(3 * 2 * 16 + 16), ids=elements(1)),
    ),
    "skips from layer to layer": (
        """
[stack.trunk]
layers = 4
joined = "x * at(x, 3 - i) if i >= 2 else x"
up = "linear(joined, width)"
x = "silu(up)"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e)"
logits = "linear(t, vocab)"
""",
        # e; up of 4; x of 4; joined of the upper two
        Kept(run=elements((1 + 4 + 4 + 2) * 16), ids=elements(1)),
    ),
    "what is read inside a call": (
        """
[module.gate]
a = "linear(x, width)"
b = "silu(a)"
y = "b * 2"
[model]
e = "embedding(tokens, vocab, width)"
g = "gate(e)"
h = "square(g.a) + square(g.b)"
logits = "linear(g + h, vocab)"
""",
        # e; a, kept inside; b, kept by its reader alone; the sum
        Kept(run=elements(4 * 16), ids=elements(1)),
    ),
    "layers on a new axis are copied": (
        """
[stack.trunk]
layers = 3
a = "linear(x, width)"
x = "x + silu(a)"
[model]
e = "embedding(tokens, vocab, width)"
t = "trunk(e)"
v = "t.a"
logits = "linear(t + v[0] * v[1], vocab)"
""",
        # x and a of each layer, the copy of all three, the sum
        Kept(run=elements((6 + 3 + 1) * 16), ids=elements(1)),
    ),
    "shared weights are kept by nobody": (
        """
[module.gate]
a = "linear(x, width)"
y = "silu(a)"
[model]
e = "embedding(tokens, vocab, width)"
g = "gate(e)"
h = "gate(g, weights=g)"
logits = "linear(h, vocab, weights=e)"
""",
        Kept(run=elements(5 * 16), ids=elements(1)),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str):
    body, wanted = BY_HAND[name]
    compiled = compiled_of(body)
    assert counted(compiled) == wanted
    assert kept(compiled) == wanted.bytes(4)


def test_bytes_follow_the_runs_dtype():
    found = Kept(run=10, wide=3, ids=2)
    assert (found.bytes(4), found.bytes(2)) == (40 + 12 + 16, 20 + 12 + 16)
    assert found + Kept(run=1, ids=1) == Kept(11, 3, 3)


@pytest.mark.parametrize("equation", ["rms_norm(a)", "l2_norm(a)", "layer_norm(a)", "softmax(a)", "silu(a)"])
def test_what_is_kept_wide_of_a_narrow_value(equation: str):
    compiled = compiled_of(f"""
[model]
e = "embedding(tokens, vocab, width)"
a = "linear(e, width)"
n = "{equation}"
logits = "linear(square(n), vocab)"
""")
    assert counted(compiled, torch.bfloat16).bytes(2) == kept(compiled, torch.bfloat16)
    assert counted(compiled).bytes(4) == kept(compiled)


@pytest.mark.parametrize(
    ("tokens", "window"), [(PART, 40), (PART + 1, 40), (3 * PART, 40), (3 * PART, 3 * PART)]
)
def test_a_window_over_a_long_row_keeps_its_parts_beside_the_whole(tokens: int, window: int):
    compiled = compiled_of(f"""
[model]
e = "embedding(tokens, vocab, width)"
a = "split(linear(e, 3 * width), 6)"
mixed = "attend(a[:2], a[2:4], a[4:], window={window})"
logits = "linear(flatten(mixed), vocab)"
""")
    found = saved(compiled.graph, Load(ROWS, tokens)).bytes(4)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    ids = torch.zeros(ROWS, tokens, dtype=torch.int64)
    masks = 0
    if window < tokens:
        starts = range(0, tokens, PART)
        sizes = [(min(s + PART, tokens) - s, min(s + PART, tokens) - max(0, s - window + 1)) for s in starts]
        masks = 4 * sum(queries * keys for queries, keys in sizes)
    assert found + masks == saved_bytes(model, ids, Now.start(ids))


def test_parts_are_as_long_as_those_that_are_computed():
    assert PART == row_attention.PART
