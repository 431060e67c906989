"""Layers that read earlier layers: value residuals, U-nets, and what stands inside of a layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.nanogen.running import TOKENS, holds, model_of

EMBED = """
[model]
embed = "embedding(tokens, vocab, width)"
"""
ATTENTION = """
[module.attention]
q = "linear(x, width)"
k = "linear(x, width)"
v = "linear(x, width)"
mix = "attend(split(q, 3), split(k, 3), split(v, 3), window=5)"
y = "linear(flatten(mix), width)"
"""
RESIDUAL = """
[module.mixer]
inputs = ["x", "first"]
v = "linear(x, width)"
y = "shift(v, 1) + first"
[stack.trunk]
layers = 3
first = "at(mix.v, 0) if i > 0 else x"
mix = "mixer(x, first)"
x = "x + mix"
"""
UNET = """
[stack.trunk]
layers = 6
skip = "parameter(init=1)"
joined = "x + skip * at(x, 5 - i) if i >= 3 else x"
up = "linear(joined, width)"
x = "joined + silu(up)"
"""
WORKS = {
    "value residual": ATTENTION
    + """
[stack.trunk]
layers = 4
first = "at(attn.v, 0) if i > 0 else x"
attn = "attention(x + first)"
x = "x + attn"
"""
    + EMBED
    + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"',
    "several values of several layers, some deep inside": ATTENTION
    + """
[module.block]
inputs = ["x", "v"]
attn = "attention(x + v)"
y = "x + attn"
[stack.trunk]
layers = 4
first = "at(block.attn.v, 0) if i > 0 else x"
before = "at(block.attn.k, i - 1) if i > 1 else x"
lowest = "at(x, 0) if i > 1 else x"
block = "block(0.1 * (x + before + lowest), first)"
x = "x + 0.1 * block"
"""
    + EMBED
    + 't = "trunk(embed)"\nlogits = "linear(0.1 * t, vocab)"',
    "a stack in two places, read inside where it reads below": ATTENTION
    + """
[stack.trunk]
layers = 3
attn = "attention(x)"
z = "silu(at(attn.v, 0)) if i > 0 else x"
x = "x + attn"
"""
    + EMBED
    + """
a = "trunk(embed)"
b = "trunk(silu(a))"
v = "a.z"
logits = "linear(a + b + v[1] + at(b.z, 2), vocab)"
""",
    "a call that stands where the layer leaves, read by later layers": ATTENTION
    + """
[stack.trunk]
layers = 3
z = "at(x.v, i - 1) if i > 0 else 2 * x"
u = "x.q + z"
x = "attention(x)"
w = "silu(u)"
"""
    + EMBED
    + 'a = "trunk(embed)"\nw = "a.w"\nlogits = "linear(a + w[0] + w[2], vocab)"',
    "one of two values carried": """
[stack.trunk]
inputs = ["x", "s"]
layers = 3
a = "linear(x, width)"
s = "silu(a) + at(s, 0) if i > 0 else silu(a)"
x = "s_in + at(x, i - 1) if i > 1 else s_in"
s_in = "s * 2"
"""
    + EMBED
    + 'a = "trunk(embed, embed)"\nlogits = "linear(a + at(a.s, 1), vocab)"',
}


@pytest.mark.parametrize("name", WORKS)
def test_layers_read_earlier_ones(name: str):
    holds(WORKS[name])


def test_a_value_residual_by_hand():
    _, model = holds(RESIDUAL + EMBED + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"')
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]
    first = None
    for layer in range(3):
        v = x @ weights[f"t.{layer}.mix.v.weight"].T
        x = x + F.pad(v, (0, 0, 1, 0))[:, :-1] + (x if first is None else first)
        first = v if first is None else first
    wanted = x @ weights["logits.weight"].T
    same_gradients(model, wanted)


def test_a_unet_by_hand():
    _, model = holds(UNET + EMBED + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"')
    weights = dict(model.named_parameters())
    x = weights["embed.weight"][TOKENS]
    left: list[torch.Tensor] = []
    for layer in range(6):
        if layer >= 3:
            x = x + weights[f"t.{layer}.skip"] * left[5 - layer]
        x = x + F.silu(x @ weights[f"t.{layer}.up.weight"].T)
        left.append(x)
    same_gradients(model, x @ weights["logits.weight"].T)
    assert [p for p in weights if "skip" in p] == ["t.3.skip", "t.4.skip", "t.5.skip"]


def same_gradients(model: torch.nn.Module, wanted: torch.Tensor) -> None:
    found = model(TOKENS)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    mine, theirs = (torch.autograd.grad(y.tanh().sum(), list(model.parameters())) for y in (found, wanted))
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(mine, theirs, strict=True))


REFUSED = {
    'z = "at(x, i)"': ("NG323", "layer 0 does not come before layer 0"),
    'z = "at(x, 7) if i else x"': ("NG323", "layer 7 does not come before layer 1"),
    'z = "at(x, -1)"': ("NG323", "layer -1 does not come before layer 0"),
    'z = "at(x, 0.5) if i else x"': ("NG309", "an index is a whole number, found 0.5"),
    'z = "at(x0, 0) if i else x"': ("NG208", "`x0` is the same in all of [stack.trunk]"),
    'z = "at(b.v, 0) if i else x"': ("NG208", "`b` is no call of a module or stack, so nothing is inside it"),
    'z = "at(w, 0) if i else x"': ("NG204", "`w` in [stack.trunk] is the number 3, not a value"),
    'z = "at(x, b) if i else x"': ("NG207", "a number is needed here, found a value"),
    'z = "inner(x)"': ("NG208", "`x` is an input of [module.inner], and has no layers"),
}


@pytest.mark.parametrize("equation", REFUSED)
def test_layers_that_cannot_be_read(equation: str, faults, small):
    tables = """
[module.inner]
y = "at(x, 0)"
[stack.trunk]
inputs = ["x", "x0"]
layers = 3
w = "3 if i == 0 else 4"
b = "linear(x, width + 0 * w)"
x = "b + z + x0"
"""
    found = faults(small(tables=tables + equation, model='t = "trunk(embed, embed)"', last="t"))
    assert [(code, message) for code, _, message in found if code != "NG402"] == [REFUSED[equation]]


def test_layers_that_differ_do_not_stack(faults, small):
    tables = """
[stack.trunk]
layers = 3
w = "3 if i else 2"
b = "linear(x, w)"
x = "linear(b, width)"
"""
    found = faults(small(tables=tables, model='t = "trunk(embed)"\nb = "t.b"', last="t + b[0, 0]"))
    assert found == [("NG313", "b", "the layers have `b` as B T 2 and as B T 3, which do not stack")]


def test_layers_are_built_once_for_equal_calls():
    compiled, _ = model_of(
        RESIDUAL + EMBED + 'a = "trunk(embed)"\nb = "trunk(a)"\nlogits = "linear(b, vocab)"'
    )
    a, b = (compiled.graph.model.line(name).node for name in ("a", "b"))
    assert [x is y for x, y in zip(a.layers, b.layers, strict=True)] == [True, True, True]


def test_torch_compiles_reads_of_layers_without_a_break():
    _, model = model_of(WORKS["a stack in two places, read inside where it reads below"])
    torch._dynamo.reset()
    found = torch.compile(model, fullgraph=True, dynamic=False, backend="eager")(TOKENS)
    assert torch.allclose(found, model(TOKENS), atol=1e-5)
