"""The emitted source of stacks and modules: what is carried, handed on, seen twice, owned once or not at all."""

from __future__ import annotations

import torch

import runtime.primitives as library
from runtime.primitives import Now
from tests.nanogen.running import TOKENS, holds, model_of, run

ATTENTION = """
[module.attention]
q = "linear(x, width)"
k = "linear(x, width)"
v = "linear(x, width)"
mix = "attend(rope(split(q, 3), 100), rope(split(k, 3), 100), split(v, 3))"
y = "linear(flatten(mix), width)"
"""


def test_two_values_carried_leave_a_layer_together():
    body = """
[stack.trunk]
inputs = ["x", "s", "c"]
layers = 3
up = "linear(x, width)"
x = "s + up + c"
s = "x * 0.5 - c"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed, 2 * embed, rms_norm(embed))"
logits = "linear(trunk, vocab)"
"""
    _, model = model_of(body)
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]
    s, c = 2 * x, library.rms_norm(x)
    for layer in range(3):
        x, s = s + x @ weights[f"trunk.{layer}.up.weight"].T + c, x * 0.5 - c
    assert torch.allclose(run(body), x @ weights["logits.weight"].T, atol=1e-4)


def test_a_stack_called_twice_owns_its_weights_twice():
    body = """
[stack.trunk]
layers = 2
a = "linear(shift(x, 1), width)"
x = "x + a"
[model]
embed = "embedding(tokens, vocab, width)"
low = "trunk(embed)"
high = "rms_norm(trunk(low)) + low"
logits = "linear(high, vocab)"
"""
    compiled, model = model_of(body)
    run(body)
    assert {p.split(".")[0] for p in dict(model.named_parameters())} == {"embed", "low", "high", "logits"}
    assert set(compiled.blueprint["state"]) == {"low", "high"}


def test_a_stack_within_a_module_within_a_stack():
    body = (
        ATTENTION
        + """
[stack.inner]
inputs = ["x", "first"]
layers = 2
a = "attention(x)"
x = "x + a + first"
[module.block]
deep = "inner(rms_norm(x), x)"
y = "linear(deep, width)"
[stack.trunk]
layers = 2
block = "block(x)"
x = "x + block"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed)"
logits = "linear(trunk, vocab)"
"""
    )
    compiled, model = model_of(body)
    run(body)
    assert "trunk.1.block.deep.0.a.q.weight" in dict(model.named_parameters())
    assert set(compiled.blueprint["state"]["trunk"][1]["block"]["deep"][0]["a"]["mix"]) == {"k", "v"}


def test_a_stack_without_parameters():
    body = """
[module.late]
y = "shift(x, 1) * 0.5"
[module.early]
y = "rms_norm(x)"
[stack.trunk]
inputs = ["x", "x0"]
layers = 3
kind = { early = [1], late = "rest" }
x = "kind(x) + x0"
[module.wrap]
y = "trunk(x, square(x)) - trunk(x, x)"
[model]
embed = "embedding(tokens, vocab, width)"
w = "wrap(embed)"
logits = "linear(w, vocab)"
"""
    _, model = model_of(body)
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]

    def climb(x, x0):
        for layer in range(3):
            x = (library.rms_norm(x) if layer == 1 else library.shift(x, 1, Now.start(TOKENS)) * 0.5) + x0
        return x

    wanted = (climb(x, x.square()) - climb(x, x)) @ weights["logits.weight"].T
    assert torch.allclose(run(body), wanted, atol=1e-4)


def test_a_stack_may_replace_the_input_that_its_other_parts_read():
    body = """
[stack.inner]
inputs = ["x", "x0", "s"]
layers = 2
a = "linear(x, width)"
x = "a + x0 + s"
s = "s * 2"
[stack.outer_one]
layers = 2
x = "inner(silu(x), x, x + 1)"
[model]
embed = "embedding(tokens, vocab, width)"
deep = "outer_one(embed)"
logits = "linear(deep, vocab)"
"""
    _, model = model_of(body)
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]
    for outer in range(2):
        x0, s, x = x, x + 1, torch.nn.functional.silu(x)
        for layer in range(2):
            x, s = x @ weights[f"deep.{outer}.x.{layer}.a.weight"].T + x0 + s, s * 2
    assert torch.allclose(run(body), x @ weights["logits.weight"].T, atol=1e-4)


def test_the_variables_of_a_stack_hide_no_equation():
    body = """
[stack.trunk]
inputs = ["x", "s"]
layers = 1
a = "linear(x, width)"
x = "a + s"
s = "s + 1"
[model]
embed = "embedding(tokens, vocab, width)"
trunk_s = "embed * 3"
trunk = "trunk(embed, embed)"
logits = "linear(trunk + trunk_s, vocab)"
"""
    _, model = model_of(body)
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]
    wanted = (x @ weights["trunk.0.a.weight"].T + x + 3 * x) @ weights["logits.weight"].T
    assert torch.allclose(run(body), wanted, atol=1e-4)


# --- modules


def test_a_module_that_sees_the_past_twice_in_one_equation():
    body = """
[module.back]
y = "shift(x, 1) + shift(shift(x, 2), 3)"
[module.pair]
inputs = ["a", "b"]
both_1 = "shift(b, 1)"
both = "back(a) - back(b) + both_1"
y = "both * 2"
[model]
embed = "embedding(tokens, vocab, width)"
p = "pair(embed, square(embed)) + pair(square(embed), embed)"
logits = "linear(p, vocab)"
"""
    compiled, _ = model_of(body)
    run(body)
    assert set(compiled.blueprint["state"]["p"]) == {"both_1", "both", "both.1"}


def test_modules_as_arguments_and_ids_handed_down():
    body = """
[module.table]
inputs = ["x", "tokens", "positions"]
args = { f = "plain", rows = 3 }
row = "embedding(tokens, vocab, width)"
place = "embedding(positions, context, width)"
y = "f(x) + row * rows + concat(place[:3], row[3:])"
[module.plain]
y = "silu(x)"
[module.gated]
gate = "linear(x, width)"
y = "gate * x"
[model]
embed = "embedding(tokens, vocab, width)"
a = "table(embed, tokens, positions, f=gated)"
b = "table(a, tokens, positions, rows=5)"
logits = "linear(b, vocab)"
"""
    _, model = model_of(body)
    run(body)
    assert "a.y.gate.weight" in dict(model.named_parameters())


def test_layers_that_own_nothing_are_functions_where_no_others_own():
    """The same layer stands among modules in one place, and among functions in the other; in a loop, too."""
    holds(
        """
[module.low]
a = "linear(x, width)"
y = "silu(a) + shift(x, 1)"
[stack.trunk]
layers = 3
side = "low(x)"
x = "tanh(x)"
[loop.again]
times = 2
t = "trunk(x)"
x = "0.5 * t"
[model]
embed = "embedding(tokens, vocab, width)"
a = "trunk(embed)"
b = "trunk(embed)"
c = "again(embed)"
logits = "linear(at(a.side.a, 1) + a + b + c, vocab)"
"""
    )


def test_a_layer_reads_a_value_below_and_borrows_its_weights():
    holds(
        """
[module.low]
a = "linear(x, width)"
y = "silu(a)"
[stack.trunk]
layers = 3
e = "low(x) if i == 0 else low(x, weights=at(e, i - 1))"
d = "at(e, i - 1) if i > 0 else x"
x = "tanh(d + e)"
[model]
embed = "embedding(tokens, vocab, width)"
a = "trunk(embed)"
logits = "linear(a, vocab)"
"""
    )
