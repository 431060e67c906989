"""Reads inside a call, and in the layers of a stack: what they mean, and what has no inside."""

from __future__ import annotations

import pytest

from tests.nanogen.running import holds

EMBED = """
[model]
embed = "embedding(tokens, vocab, width)"
"""
MODULES = """
[module.attention]
q = "linear(x, width)"
k = "linear(x, width)"
v = "linear(x, width)"
mix = "attend(split(q, 3), split(k, 3), split(v, 3))"
y = "linear(flatten(mix), width)"
[module.mlp]
up = "linear(x, 2 * width)"
y = "linear(relu(up), width)"
"""
WORKS = {
    "inside of a call inside of a call": """
[module.block]
attn = "attention(x)"
z = "attn.v * 2"
y = "x + attn + z"
"""
    + EMBED
    + 'b = "block(embed)"\nlogits = "linear(b + b.attn.q * b.z + b.attn.y, vocab)"',
    "of all layers, on a new axis": """
[stack.trunk]
layers = 3
attn = "attention(x)"
x = "x + attn.q + attn"
"""
    + EMBED
    + 't = "trunk(embed)"\nv = "t.attn.v"\nlogits = "linear(v[0] + v[1] * v[2], vocab)"',
    "of the layers that have it": """
[stack.trunk]
layers = 4
mixer = { attention = [1, 3], mlp = "rest" }
mix = "mixer(x)"
x = "x + mix"
"""
    + EMBED
    + 't = "trunk(embed)"\nq = "t.mix.q"\nlogits = "linear(t + q[0] + q[1], vocab)"',
    "of one layer, of the last, of several": """
[stack.trunk]
layers = 3
attn = "attention(x)"
x = "x + attn"
"""
    + EMBED
    + """
t = "trunk(embed)"
mid = "at(t, 1) - at(t.attn.v, 1)"
logits = "linear(t - at(t, 0) + 2 * at(t, 2) + mid, vocab)"
""",
    "of layers in layers": """
[stack.inner_one]
layers = 2
g = "parameter(width, init=ones)"
a = "attention(x * g)"
x = "x + a"
[stack.trunk]
layers = 3
n = "inner_one(x)"
x = "x + n"
"""
    + EMBED
    + """
a = "trunk(embed)"
b = "a.n.a.v"
c = "a.n.g"
d = "at(a.n.x, 1)"
logits = "linear(a * c[1, 0] + b[2, 1] + c[0, 0] + d[1], vocab)"
""",
    "in the body of a loop": """
[dial.r]
default = 3
[stack.deep]
layers = 2
attn = "attention(x)"
x = "x + attn"
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 1
d = "deep(s + e)"
v = "d.attn.v"
s = "silu(d) + v[0] + at(d, 0) + at(d.attn.q, 1)"
"""
    + EMBED
    + 'a = "think(embed, embed)"\nlogits = "linear(a, vocab)"',
    "what nothing else reads is built for it, and owns": """
[module.side]
z = "linear(x, width)"
y = "silu(x)"
"""
    + EMBED
    + 'a = "side(embed)"\nb = "side(a)"\nlogits = "linear(a + b.z, vocab)"',
}


@pytest.mark.parametrize("name", WORKS)
def test_reads_inside_mean_what_they_say(name: str):
    holds(MODULES + WORKS[name])


def test_what_is_read_owns_where_it_is_read():
    compiled, _ = holds(WORKS["what nothing else reads is built for it, and owns"])
    paths = [p["path"] for p in compiled.blueprint["parameters"]]
    assert paths == ["embed.weight", "b.z.weight", "logits.weight"]


REFUSED = {
    "vocab.v": ("NG208", "`vocab` is no equation of [model]"),
    "tokens.v": ("NG208", "`tokens` is no equation of [model]"),
    "none.v": ("NG208", "`none` is no equation of [model]"),
    "side.v": ("NG208", "`side` is no equation of [model]"),
    "side(embed).v": ("NG208", "only an equation can be read inside"),
    "(embed + embed).v": ("NG208", "only an equation can be read inside"),
    "embed.v": ("NG208", "`embed` is no call of a module or stack, so nothing is inside it"),
    "a.v": ("NG201", "nothing is called `v` in [module.side]"),
    "a.z.v": ("NG208", "`z` is no call of a module or stack, so nothing is inside it"),
    "a.n": ("NG204", "`n` in [module.side] is the number 3, not a value"),
    "model.embed": ("NG201", "`model` is no value"),
    "gone.v": ("NG201", "nothing is called `gone` here"),
    "at(3, 0)": ("NG208", "only an equation can be read inside"),
    "at(a)": ("NG112", "`at` takes a value and a layer"),
    "at(a, 0)": ("NG208", "`a` is no call of a stack, and has no layers"),
    "at(t, embed)": ("NG207", "a number is needed here, found a value"),
    "at(t, 2)": ("NG323", "there is no layer 2: `t` has 2"),
    "at(t, -1)": ("NG323", "there is no layer -1: `t` has 2"),
    "at(t.w, 0)": ("NG201", "nothing is called `w` in [stack.trunk]"),
    "at(tokens, 0)": ("NG208", "`tokens` is an input of [model], and has no layers"),
    "o.s": ("NG104", "reads inside a loop are not in this compiler yet"),
    "p.o.s": ("NG104", "reads inside a loop are not in this compiler yet"),
}


@pytest.mark.parametrize("read", REFUSED)
def test_what_has_no_inside(read: str, faults, small):
    tables = """
[module.side]
n = "3"
z = "linear(x, width * n / n)"
y = "silu(z)"
[stack.trunk]
layers = 2
x = "silu(x)"
[loop.again]
inputs = ["s"]
times = 2
s = "silu(s)"
[module.through]
o = "again(x)"
y = "o"
"""
    lines = 'a = "side(embed)"\nt = "trunk(a)"\no = "again(t)"\np = "through(o)"\n'
    found = faults(small(tables=tables, model=lines + f'r = "{read}"', last="p + r"))
    assert [(code, message) for code, _, message in found if code != "NG402"] == [REFUSED[read]]
