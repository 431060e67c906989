"""The emitted source: what people read in it, and that it computes what the equations say."""

from __future__ import annotations

import ast
import inspect
import os
import re
from pathlib import Path

import pytest
import torch

import runtime.primitives as library
from nanogen.compiler import compile_text
from nanogen.emission.source import emit
from nanogen.emission.spelling import LINE
from nanogen.graph import Graph
from nanogen.language.reserved import LIBRARY_NAMES
from runtime.model import load_source
from tests.nanogen.running import HEAD, TOKENS, compiled_of, holds, model_of, run, same

GOLDEN = Path(__file__).parents[1] / "golden"

# --- what people read


def test_the_library_names_are_those_of_the_runtime():
    own = {
        name
        for name, value in vars(library).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == library.__name__
    }
    helpers = {"attend_by_scores", "with_recent"}  # called by primitives, not by source
    assert set(LIBRARY_NAMES) == {name for name in own if not name.startswith("_")} - helpers


TINY = """
[defaults]
rope = { base = 100, direction = -1 }
[module.attention]
q = "linear(x, width)"
k = "linear(x, 2)"
mix = "attend(rope(split(q, 3)), rope(split(k, 1)), split(k, 1), window=4)"
y = "linear(flatten(mix), width, init=zeros)"
[module.gated]
args = { kernel = 3 }
gate = "linear(x, width, bias=true)"
y = "causal_conv(x * sigmoid(gate), kernel)"
[module.mlp]
up = "linear(x, 4 * width)"
y = "linear(square(relu(up)), width)"
[module.norm]
y = "rms_norm(x) * 0.5"
[stack.trunk]
inputs = ["x", "x0"]
layers = 4
mixer = { attention = [1, 3], gated = "rest" }
keep = "parameter(init=1 - 0.1 * i)"
mix = "mixer(norm(x))"
h = "keep * x + mix"
mlp = "mlp(norm(h))"
x = "h + mlp + x0 / 8"
[model]
embed = "embedding(tokens, vocab, width)"
place = "embedding(positions, context, width)"
e = "norm(embed + place)"
trunk = "trunk(e, shift(e, 1))"
head = "linear(norm(trunk), vocab, init=zeros, role=head)"
logits = "softcap(float32(head), 15)"
"""


def test_the_source_of_a_small_spec_is_the_one_on_file():
    path, source = GOLDEN / "tiny.py.txt", compile_text(HEAD + TINY, name="tiny.toml").source
    if os.environ.get("UPDATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    assert source == path.read_text(), "run with UPDATE=1, and read what changed"


def classes_of(source: str) -> dict[str, ast.ClassDef | ast.FunctionDef]:
    found = ast.parse(source).body
    return {node.name: node for node in found if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def test_one_class_a_module_and_one_a_kind_of_layer():
    names = list(classes_of(compiled_of(TINY).source))
    assert sorted(names) == ["Attention", "Gated", "Mlp", "Model", "Norm", "TrunkAttention", "TrunkGated"]
    assert names.index("Attention") < names.index("TrunkAttention") < names.index("Model")


def test_what_owns_nothing_is_a_function():
    found = classes_of(compiled_of(TINY).source)
    assert [name for name, node in found.items() if isinstance(node, ast.FunctionDef)] == ["Norm"]


def test_every_assignment_says_its_shape():
    source = compiled_of(TINY).source
    for line in re.sub(r"\($[^#]*?^ +\)", "()", source, flags=re.MULTILINE).split(
        "\n"
    ):  # long calls as one line
        plain = re.match(r" +(self\.|now = |now\.tables)", line)
        if re.match(r" +[\w, ]+ = ", line) and not plain:
            assert re.search(r"  # B T( \d+| ids)|  # scalar", line), line
    assert "keep = self.keep.to(now.dtype)" in source


def test_the_names_are_the_specs():
    source = compiled_of(TINY).source
    for name in ("q", "k", "mix", "up", "gate", "keep", "embed", "place", "e", "trunk", "head", "logits"):
        assert re.search(rf"^ +{name} = ", source, re.MULTILINE), name
    assert "self.q = Linear(6, 6)\n        self.k = Linear(6, 2)\n        self.y = Linear(6, 6)" in source


def test_alike_calls_share_a_class_and_other_shapes_get_another():
    body = """
[module.mlp]
up = "linear(x, 2 * width)"
y = "linear(relu(up), width)"
[model]
embed = "embedding(tokens, vocab, width)"
wide = "linear(embed, 9)"
a = "mlp(embed)"
b = "mlp(a)"
c = "mlp(wide)"
logits = "linear(b + c, vocab)"
"""
    source = compiled_of(body).source
    assert list(classes_of(source)) == ["Mlp", "Mlp2", "Model"]
    assert source.count("= Mlp()") == 2
    run(body)


def test_a_long_import_is_wrapped():
    body = """
[model]
a = "embedding(tokens, vocab, width)"
b = "linear(rms_norm(a) + rms_norm(a, eps=1e-5) + layer_norm(a) + l2_norm(a) + softmax(a), 6)"
c = "rms_norm(rope(softcap(b, 2) + shift(a, 1), 100), gain=true)"
d = "causal_conv(c, 3)"
e = "layer_norm(flatten(attend(split(d, 2), split(d, 2), split(d, 2))), gain=true)"
logits = "linear(e, vocab)"
"""
    source = compiled_of(body).source
    assert "import (\n" in source
    assert max(map(len, source.partition("class")[0].split("\n"))) <= LINE
    run(body)


@pytest.mark.parametrize(
    "name", ['"""; raise SystemExit(1) #', "a\\", 'ends with "', "two\nlines", "\x00", "日本"]
)
def test_a_models_name_is_text_and_never_code(name: str):
    body = '[model]\nembed = "embedding(tokens, vocab, vocab)"\nlogits = "embed"\n'
    compiled = compile_text(HEAD + body, name="spec.toml")
    source = emit(Graph(name, compiled.graph.model, compiled.graph.dims))
    assert list(classes_of(source)) == ["Model"]
    assert load_source(source, name).Model is not None


# --- names that would hide what the source calls


@pytest.mark.parametrize(
    "name",
    [
        *("rope", "attend", "rms_norm", "rope_table", "now", "F", "torch", "nn", "layer", "self", "runtime"),
        *("enumerate", "Linear", "Now", "Norm", "super", "range", "axes", "k", "recent", "rolling", "dtype"),
    ],
)
def test_a_name_may_be_one_that_the_source_uses(name: str):
    body = """
[module.norm]
y = "rms_norm(x)"
[module.attention]
inputs = ["INPUT"]
q = "linear(INPUT, width)"
NAME = "attend(rope(split(q, 3), 100), rope(split(q, 3), 100), split(q, 3))"
NAME_ = "flatten(NAME) + flatten(shift(NAME, 1))"
y = "linear(NAME_, width)"
[stack.trunk]
layers = 2
NAME = "attention(norm(x))"
NAME_ = "silu(NAME)"
x = "x + NAME_"
[model]
embed = "embedding(tokens, vocab, width)"
NAME = "trunk(norm(embed))"
NAME_ = "norm(NAME)"
logits = "linear(NAME_ + NAME, vocab)"
"""
    named = body.replace("NAME", name).replace("INPUT", name + "__")
    run(named)
    _, model = model_of(named)
    _, twin = model_of(body.replace("NAME", "plain").replace("INPUT", "entry"))
    twin.load_state_dict(dict(zip(twin.state_dict(), model.state_dict().values(), strict=True)))
    assert torch.equal(model(TOKENS), twin(TOKENS))
    assert hasattr(model, name)


@pytest.mark.parametrize("name", ["rope", "now", "self", "F", "torch", "layer", "Inner"])
def test_an_input_may_have_such_a_name(name: str):
    body = """
[module.inner]
y = "silu(x)"
[module.outer_one]
inputs = ["NAME", "other"]
y = "linear(rope(NAME, 10) + inner(other), width)"
[stack.trunk]
inputs = ["NAME", "s"]
layers = 2
a = "outer_one(NAME, s)"
s = "s + NAME"
NAME = "a + NAME"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed, 2 * embed)"
logits = "linear(trunk, vocab)"
"""
    same(body.replace("NAME", name), body.replace("NAME", "plain"))


def test_a_module_may_be_called_as_an_import_is():
    body = """
[module.f]
y = "silu(x)"
[module.now]
y = "linear(x, width)"
[module.layer]
y = "f(x) + 1"
[model]
embed = "embedding(tokens, vocab, width)"
a = "now(f(embed))"
logits = "linear(layer(a), vocab)"
"""
    run(body)
    assert list(classes_of(compiled_of(body).source)) == ["F2", "Now2", "Layer", "Model"]


def test_names_of_calls_loops_and_layers_hide_nothing():
    """Equations called as classes, as functions with borrowed weights, and as what the emitter calls its variables."""
    holds(
        """
[stack.trunk]
layers = 3
x_at = "silu(at(x, 0)) if i > 0 else x"
layer = "linear(x + x_at, width)"
now = "silu(layer)"
Linear = "now + 1"
x = "x + Linear"
[module.m]
inputs = ["self", "w"]
args = { k = 1 }
y = "linear(self, width) + k * w"
[module.Attention]
y = "linear(x, width)"
[loop.think]
inputs = ["x", "embed"]
times = 2
M = "m(x, embed)"
Think = "silu(M)"
x = "Think"
[model]
embed = "embedding(tokens, vocab, width)"
M = "m(embed, embed)"
MSharing = "m(M, M, k=2, weights=M)"
Attention = "Attention(MSharing)"
TrunkLayer = "trunk(Attention)"
t_x = "silu(TrunkLayer)"
t = "trunk(t_x)"
t_turns = "think(t, embed)"
turn_ = "silu(t_turns)"
at_x = "at(t, 0)"
x_at = "at(t, 1)"
Model = "at_x + x_at + turn_"
logits = "linear(Model, vocab)"
"""
    )


def test_a_loop_in_a_loop_counts_its_own_turns():
    source = compiled_of(
        """
[loop.low]
inputs = ["x", "around"]
times = 2
t = "embedding(turn, 2, width)"
u = "embedding(around, 3, width)"
x = "silu(x + t + u)"
[loop.high]
times = 3
x = "low(x, turn)"
[model]
embed = "embedding(tokens, vocab, width)"
h = "high(embed)"
logits = "linear(h, vocab)"
"""
    ).source
    assert "for turn_ in range(2):" in source
    assert "self.x(x_x, turn, now.turn(turn_), now)" in source


def test_the_turn_from_which_gradients_are_recorded_is_a_number():
    body = '[loop.again]\ntimes = 5\nbackprop = 2\nx = "silu(x)"\n[model]\nembed = "embedding(tokens, vocab, width)"\n'
    source = compiled_of(body + 'a = "again(embed)"\nlogits = "linear(a, vocab)"').source
    assert "with gradients(turn >= 3):" in source
