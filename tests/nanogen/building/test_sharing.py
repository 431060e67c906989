"""Shared weights: `weights=` of an equation, of the model, of an earlier layer; who may share, and who may not."""

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
args = { window = "none" }
q = "linear(x, width)"
k = "linear(x, width)"
v = "linear(x, width)"
mix = "attend(split(q, 3), split(k, 3), split(v, 3), window=window)"
y = "linear(flatten(mix), width)"
"""
TRUNK = """
[stack.trunk]
layers = 3
attn = "attention(x)"
x = "x + attn"
"""
THINK = """
[dial.r]
default = 3
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 2
both = "linear(s, width)"
s = "silu(both) + e"
"""

WORKS = {
    "a tied head": EMBED + 'h = "silu(embed)"\nlogits = "linear(h, vocab, weights=embed)"',
    "a borrower lends on": EMBED
    + """
h = "linear(embed, width, bias=true)"
h2 = "linear(silu(h), width, bias=true, weights=h)"
h3 = "linear(silu(h2), width, weights=h2)"
logits = "linear(h3, vocab, weights=model.embed)"
""",
    "a module under other arguments": ATTENTION
    + EMBED
    + """
a = "attention(embed)"
b = "attention(silu(a), window=2, weights=a)"
logits = "linear(b, vocab, weights=embed)"
""",
    "a module within a module": ATTENTION
    + """
[module.two]
args = { n = 3 }
a = "attention(x)"
b = "attention(a, window=n, weights=a)"
y = "a + b"
"""
    + EMBED
    + 'a = "two(embed)"\nb = "two(silu(a), n=2, weights=a)"\nlogits = "linear(a + b, vocab, weights=model.embed)"',
    "a module with another module in it": """
[module.outside]
args = { inner = "plain" }
g = "inner(x)"
y = "g + x"
[module.plain]
u = "linear(x, width)"
y = "silu(u)"
[module.rich]
u = "linear(x, width, bias=true)"
y = "tanh(u)"
"""
    + EMBED
    + 'a = "outside(embed, inner=rich)"\nb = "outside(a, weights=a)"\nlogits = "linear(a + b, vocab)"',
    "a stack": ATTENTION
    + TRUNK
    + EMBED
    + 'a = "trunk(embed)"\nb = "trunk(silu(a), weights=a)"\nlogits = "linear(a + b, vocab)"',
    "a stack that is read inside where it owns": ATTENTION
    + TRUNK
    + EMBED
    + 'a = "trunk(embed)"\nb = "trunk(silu(a), weights=a)"\nv = "a.attn.v"\nlogits = "linear(b + v[1], vocab)"',
    "a stack that is read inside where it borrows": ATTENTION
    + TRUNK
    + EMBED
    + 'a = "trunk(embed)"\nb = "trunk(silu(a), weights=a)"\nlogits = "linear(b + at(b.attn.v, 1), vocab)"',
    "one block in many places": """
[stack.trunk]
layers = 5
up = "linear(x, width)"
block = "linear(x + up, width) if i == 1 else linear(x + up, width, weights=at(block, i - 2))"
x = "x + silu(block) if i % 2 == 1 else x + silu(up)"
"""
    + EMBED
    + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"',
    "the values and the weights of one equation of an earlier layer": """
[stack.trunk]
layers = 4
a = "linear(x, width) if i == 0 else linear(x, width, weights=at(a, i - 1))"
b = "at(a, i - 1) if i > 0 else a"
x = "x + silu(a) + b"
"""
    + EMBED
    + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"',
    "one block with another window in each place": ATTENTION
    + """
[module.block]
args = { window = "none" }
attn = "attention(x, window=window)"
y = "x + attn"
[stack.trunk]
layers = 4
block = "block(x) if i == 1 else block(x, window=i, weights=at(block, 1))"
x = "x + silu(block) if i else 2 * x"
"""
    + EMBED
    + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"',
    "stacks and loops inside of a guest": """
[module.deep]
args = { k = 3 }
a = "linear(x, width)"
h = "inside(a)"
b = "linear(h, width, weights=a)"
c = "again(b)"
y = "shift(c, k) + silu(b)"
[stack.inside]
layers = 2
a = "linear(x, width)"
x = "shift(a, 1) + silu(x)"
[loop.again]
times = 2
a = "linear(x, width)"
x = "shift(a, i + 1) + silu(x)"
[stack.trunk]
layers = 3
b = "deep(x, k=1) if i == 0 else deep(x, k=i + 1, weights=at(b, 0))"
x = "x + b"
"""
    + EMBED
    + 'a = "trunk(embed)"\nlogits = "linear(a + at(a.b.h, 2), vocab)"',
    "layers that lend to one another, in a stack that borrows and is read inside": """
[module.low]
a = "linear(x, width)"
y = "silu(a) + shift(x, 1)"
[stack.trunk]
layers = 3
b = "low(x) if i == 0 else low(x, weights=at(b, i - 1))"
c = "low(b.a, weights=b)"
x = "0.5 * c + x"
"""
    + EMBED
    + """
t = "trunk(embed)"
v = "t.c.a"
u = "trunk(silu(t) + at(t.b, 1), weights=t)"
logits = "linear(u + v[0] * v[1], vocab)"
""",
    "weights of the model, in layers of a stack in a module in a loop": """
[stack.trunk]
layers = 3
q = "linear(x, width)"
r = "linear(x, width, weights=model.w)"
s = "linear(x, width, weights=at(q, i - 1)) if i > 0 else x"
t = "linear(x, width, weights=at(q, 0)) if i > 1 else x"
x = "x + silu(q) + r + s + t"
[module.through]
t = "trunk(x)"
y = "t"
[loop.again]
times = 2
m = "through(x)"
x = "silu(m)"
"""
    + EMBED
    + 'w = "linear(silu(embed), width, bias=true)"\na = "again(embed + w)"\nlogits = "linear(a, vocab)"',
    "a stack that owns nothing but what the model lends": """
[stack.trunk]
layers = 3
a = "linear(x, width, weights=model.w)"
x = "silu(a) + x"
"""
    + EMBED
    + 'w = "linear(embed, width)"\na = "trunk(embed + w)"\nlogits = "linear(a, vocab)"',
}


@pytest.mark.parametrize("name", WORKS)
def test_shared_weights_mean_what_they_say(name: str):
    holds(WORKS[name])


def test_loops_share_their_body():
    calls = 'a = "think(embed, embed)"\nb = "think(silu(a), embed, weights=a)"\nlogits = "linear(b, vocab)"'
    compiled, _ = holds(THINK + EMBED + calls, {}, {"r": 1}, {"r": 5})
    assert {p["path"] for p in compiled.blueprint["parameters"]} == {
        "embed.weight",
        "a.both.weight",
        "logits.weight",
    }
    assert {tuple(compiled.blueprint["state"])} == {()}


def test_a_loop_is_lent_from_layer_to_layer():
    trunk = """
[stack.trunk]
layers = 3
t = "think(x, x) if i == 0 else think(x, silu(x), weights=at(t, 0))"
x = "x + t"
"""
    calls = 't = "think(embed, silu(embed))"\na = "trunk(embed + t)"\nlogits = "linear(a, vocab)"'
    holds(THINK + trunk + EMBED + calls, {}, {"r": 2})


def test_gradients_of_a_tied_head_add_up():
    """By hand: the table is looked up, and multiplied with."""
    _, model = model_of(EMBED + 'h = "silu(embed)"\nlogits = "linear(h, vocab, weights=embed)"')
    table = dict(model.named_parameters())["embed.weight"]
    looked, multiplied = (table.detach().clone().requires_grad_() for _ in range(2))
    (F.silu(looked[TOKENS]) @ multiplied.T).square().sum().backward()
    model(TOKENS).square().sum().backward()
    assert looked.grad is not None
    assert torch.allclose(table.grad, looked.grad + multiplied.grad, rtol=1e-4, atol=1e-5)


def test_a_shared_block_by_hand():
    trunk = """
[stack.trunk]
layers = 3
down = "linear(x, 2)"
up = "linear(down, width)"
block = "linear(x + up, width) if i == 1 else linear(x + up, width, weights=at(block, 1))"
x = "x + silu(block) if i > 0 else x + up"
"""
    _, model = model_of(trunk + EMBED + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"')
    found = model(TOKENS)
    weights = dict(model.named_parameters())
    assert [p for p in weights if "block" in p] == ["t.1.block.weight"]
    x = weights["embed.weight"][TOKENS]
    for layer in range(3):
        up = x @ weights[f"t.{layer}.down.weight"].T @ weights[f"t.{layer}.up.weight"].T
        x = x + (F.silu((x + up) @ weights["t.1.block.weight"].T) if layer else up)
    wanted = x @ weights["logits.weight"].T
    assert torch.allclose(found, wanted, atol=1e-5)
    mine, theirs = (torch.autograd.grad(y.sum(), list(weights.values())) for y in (found, wanted))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(mine, theirs, strict=True))


def test_an_unused_class_of_a_guest_is_not_written():
    body = WORKS["a module under other arguments"]
    compiled, _ = holds(body)
    assert compiled.source.count("class Attention") == 1
    assert compiled.source.count("def AttentionSharing(weights, x, now)") == 1


MODULES = """
[module.one]
n = "rms_norm(x, gain=true)"
y = "silu(n)"
[module.two]
n = "layer_norm(x, gain=true)"
y = "silu(n)"
[module.free]
y = "silu(x)"
[module.late]
q = "linear(x, width)"
z = "linear(q, width)"
y = "silu(q)"
[stack.trunk]
layers = 2
a = "linear(x, width)"
x = "silu(a)"
"""
REFUSED = {
    'c = "linear(embed, width, bias=true, weights=a)"': "`a` has no `bias`, which this call needs",
    'c = "linear(embed, 5, weights=a)"': "`weight` of `a` is 6 by 6, and this call needs 5 by 6",
    'c = "two(embed, weights=b)"': "`b.n` is called with other settings, or is another primitive",
    'c = "rms_norm(embed, gain=true, eps=1, weights=n)"': "`n` is called with other settings, or is another primitive",
    'c = "silu(embed, weights=a)"': "this call needs no weights",
    'c = "free(embed, weights=a)"': "this call needs no weights",
    'c = "one(embed, weights=a)"': "`a` is a call of another kind",
    'c = "linear(embed, width, weights=f)"': "`f` owns no weights",
    'c = "linear(embed, width, weights=tokens)"': "`tokens` is no equation of [model]",
    'c = "linear(embed, width, weights=model)"': "`model` is no equation of [model]",
    'c = "linear(embed, width, weights=model.zz)"': "[model] has no equation `zz`",
    'c = "linear(embed, width, weights=3)"': "this names no weights",
    'c = "linear(embed, width, weights=t.a)"': "this names no weights",
    'c = "linear(embed, width, weights=at(t, 0))"': "only layers of the same stack lend weights by `at`",
    'c = "linear(embed, width, weights=at(t))"': "`at` takes an equation and a layer here",
    'c = "linear(embed, width, weights=c)"': "`c` waits for this call, and so cannot lend it weights",
    'c = "linear(embed, width, weights=logits)"': "`logits` waits for this call, and so cannot lend it weights",
    'c = "parameter(width, weights=a)"': "a parameter has no weights to borrow",
    'c = "linear(embed, width, init=zeros, weights=a)"': "the owner of shared weights says their `init`",
    'l = "late(embed)"\nm = "late(a, weights=l)"\nc = "m + m.z"': "`l` has no `z.weight`, which this call needs",
}


@pytest.mark.parametrize("equation", REFUSED)
def test_weights_that_do_not_fit_are_refused(equation: str, faults):
    lines = """
a = "linear(embed, width)"
b = "one(embed)"
f = "free(embed)"
n = "rms_norm(embed, gain=true)"
t = "trunk(embed)"
"""
    logits = '\nlogits = "linear(a + b + f + n + t + c, vocab)"'
    head = 'kind = "model"\nlanguage = 1\n[dims]\nwidth = 6\nvocab = 11\ncontext = 32\n'
    found = faults(head + MODULES + EMBED + lines + equation + logits)
    assert [message for code, _, message in found if code != "NG402"] == [REFUSED[equation]]


CIRCLES = {
    "a module borrows from what waits for it": """
[module.inside]
y = "linear(x, width, weights=model.b)"
[model]
embed = "embedding(tokens, vocab, width)"
a = "inside(embed)"
b = "linear(a, width)"
logits = "linear(b, vocab)"
""",
    "two borrow from each other": """
[model]
embed = "embedding(tokens, vocab, width)"
a = "linear(embed, width, weights=b)"
b = "linear(embed, width, weights=a)"
logits = "linear(a + b, vocab)"
""",
}


@pytest.mark.parametrize("name", CIRCLES)
def test_circles_through_weights(name: str, faults):
    head = 'kind = "model"\nlanguage = 1\n[dims]\nwidth = 6\nvocab = 11\ncontext = 32\n'
    (found,) = faults(head + CIRCLES[name])
    assert found[0] == "NG203"
    assert "cannot lend it weights" in found[2]


def test_a_layer_lends_only_what_it_owns(faults, small):
    table = """
[stack.trunk]
layers = 3
b = "linear(x, width) if i > 0 else x"
c = "linear(x, width, weights=at(b, 0)) if i > 0 else x"
x = "c + b"
"""
    found = faults(small(tables=table, model='t = "trunk(embed)"', last="t"))
    assert found == [("NG316", "c", "`b` owns no weights in layer 0")]


def test_torch_compiles_borrowers_without_a_break():
    _, model = model_of(WORKS["one block with another window in each place"])
    torch._dynamo.reset()
    found = torch.compile(model, fullgraph=True, dynamic=False, backend="eager")(TOKENS)
    assert torch.allclose(found, model(TOKENS), atol=1e-5)
