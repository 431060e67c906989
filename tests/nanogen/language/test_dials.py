"""Loops and the dials that turn them: what is carried, how far gradients reach, what each turn keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nanogen.answers.flops import decoding_per_token, forward, training
from nanogen.load import Load
from runtime.primitives import Now
from tests.nanogen.running import TOKENS, compiled_of, holds, model_of

EMBED = """
[model]
embed = "embedding(tokens, vocab, width)"
"""
DIAL = """
[dial.r]
default = 3
max = 8
"""
THINK = (
    DIAL
    + """
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 2
both = "linear(s, width)"
s = "silu(both) + e"
"""
)
ATTENTION = """
[module.attention]
q = "linear(x, width)"
k = "linear(x, width)"
v = "linear(x, width)"
mix = "attend(split(q, 3), split(k, 3), split(v, 3), window=4)"
y = "linear(flatten(mix), width)"
"""
WORKS = {
    "a dial": THINK + EMBED + 'a = "think(embed, embed)"\nlogits = "linear(a, vocab)"',
    "two values carried, with a past": ATTENTION
    + DIAL
    + """
[loop.think]
inputs = ["s", "u", "e"]
times = "r"
backprop = 2
d = "attention(s + e)"
s = "silu(d) + u"
u = "shift(s, 1) + 0.5 * u"
"""
    + EMBED
    + 'a = "think(embed, 2 * embed, embed)"\nlogits = "linear(a, vocab)"',
    "the turn is looked up": DIAL
    + """
[loop.think]
inputs = ["s"]
times = "r"
t = "embedding(turn, 16, width)"
d = "linear(s + t, width)"
s = "silu(d)"
"""
    + EMBED
    + 'a = "think(embed)"\nlogits = "linear(a, vocab)"',
    "a loop in a loop, each with its turn": DIAL
    + """
[dial.k]
default = 2
max = 4
[loop.deep]
inputs = ["x", "around"]
times = "k"
t = "embedding(turn, 4, width)"
u = "embedding(around, 8, width)"
x = "silu(x + t + u)"
[loop.think]
inputs = ["s"]
times = "r"
d = "linear(s, width)"
e = "deep(d, turn)"
s = "silu(e)"
"""
    + EMBED
    + 'a = "think(embed)"\nlogits = "linear(a, vocab)"',
    "a stack in a loop in a stack": DIAL
    + """
[stack.low]
layers = 2
a = "linear(shift(x, 1), width)"
x = "x + a"
[loop.think]
inputs = ["s", "e"]
times = "r"
d = "low(s + e)"
s = "silu(d)"
[stack.high]
layers = 2
e = "linear(x, width)"
t = "think(x, e)"
x = "x + t"
"""
    + EMBED
    + 't = "high(embed)"\nlogits = "linear(t, vocab)"',
    "a loop in a module, called thrice": THINK
    + """
[module.around]
t = "think(shift(x, 2), x)"
y = "x + t"
"""
    + EMBED
    + 'a = "around(embed)"\nb = "around(a)"\nc = "around(b, weights=a)"\nlogits = "linear(c, vocab)"',
    "bodies that own nothing, in one equation": """
[loop.again]
inputs = ["x"]
times = 3
x = "silu(x) + shift(x, 1)"
"""
    + EMBED
    + 'w = "again(again(embed) + again(silu(embed)))"\nlogits = "linear(w, vocab)"',
    "what is carried stands under the name of an input, and crosses": """
[loop.again]
inputs = ["x", "c"]
times = 3
z = "silu(x)"
x = "c * z"
[stack.trunk]
inputs = ["x", "c"]
layers = 2
x = "again(c, x)"
"""
    + EMBED
    + 'w = "trunk(silu(embed), embed)"\nlogits = "linear(w, vocab)"',
    "the layer's index inside of a loop": """
[loop.again]
times = 2
x = "silu(x) + shift(x, i + 1)"
[stack.trunk]
layers = 3
x = "again(x)"
"""
    + EMBED
    + 'w = "trunk(embed)"\nlogits = "linear(w, vocab)"',
}


@pytest.mark.parametrize("name", WORKS)
def test_loops_mean_what_they_say(name: str):
    dials = ({}, {"r": 1}, {"r": 5}) if "[dial.r]" in WORKS[name] else ({},)
    holds(WORKS[name], *dials)


def test_two_dials_stand_apart():
    holds(WORKS["a loop in a loop, each with its turn"], {"k": 3, "r": 2}, {"k": 1, "r": 5})


def test_gradients_reach_the_last_turns():
    """By hand: what enters the first turn that they reach is detached, where there were turns before."""
    _, model = model_of(WORKS["a dial"])
    weights = dict(model.named_parameters())
    for turns in (1, 2, 5):
        e = s = weights["embed.weight"][TOKENS]
        for turn in range(turns):
            if turn and turn == turns - 2:
                s = s.detach()
            before = e.detach() if turn < turns - 2 else e
            s = F.silu(s @ weights["a.both.weight"].T) + before
        wanted = s @ weights["logits.weight"].T
        found = model(TOKENS, Now.start(TOKENS, dials={"r": turns}))
        assert torch.allclose(found, wanted, atol=1e-5)
        mine, theirs = (torch.autograd.grad(y.tanh().sum(), list(weights.values())) for y in (found, wanted))
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(mine, theirs, strict=True))


def test_two_values_carried_by_hand():
    body = """
[loop.think]
inputs = ["a", "b", "c"]
times = 3
up = "linear(a, width)"
a = "silu(c) * b"
b = "up + b"
"""
    _, model = holds(body + EMBED + 'w = "think(silu(embed), embed, embed)"\nlogits = "linear(w, vocab)"')
    weights = dict(model.named_parameters())
    b = c = weights["embed.weight"][TOKENS]
    a = F.silu(b)
    for _ in range(3):
        a, b = F.silu(c) * b, a @ weights["w.up.weight"].T + b
    assert torch.allclose(model(TOKENS), a @ weights["logits.weight"].T, atol=1e-4)


def test_flops_of_a_loop_by_hand():
    graph = compiled_of(WORKS["a dial"]).graph
    turn, head = 2 * 6 * 6, 2 * 6 * 11
    assert forward(graph, Load(1, 10)).matmul == 10 * (3 * turn + head)
    assert forward(graph, Load(1, 10, dials={"r": 7})).matmul == 10 * (7 * turn + head)
    assert training(graph, Load(1, 10)).matmul == 10 * (3 * turn + head + 2 * (2 * turn + head))
    assert training(graph, Load(1, 10, dials={"r": 1})).matmul == 3 * 10 * (turn + head)
    assert decoding_per_token(graph, 9, {"r": 5}) == 5 * turn + head


@pytest.mark.parametrize("name", ["a dial", "two values carried, with a past"])
def test_torch_compiles_loops_without_a_break(name: str):
    _, model = model_of(WORKS[name])
    torch._dynamo.reset()

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        return model(tokens, Now.start(tokens, dials={"r": 3}))

    found = torch.compile(logits, fullgraph=True, dynamic=False, backend="eager")(TOKENS)
    assert torch.allclose(found, logits(TOKENS), atol=1e-5)
    weights = list(model.parameters())
    mine, theirs = (torch.autograd.grad(y.sum(), weights) for y in (found, logits(TOKENS)))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(mine, theirs, strict=True))


REFUSED = {
    'times = "r"\ns = "concat(e, e)"': ("NG313", "a turn takes `s` as B T 8 and leaves it as B T 16"),
    'times = "r"\ns = "float32(e)"': ("NG313", "a turn takes `s` as B T 8 and leaves it as B T 8 float32"),
    'times = "r"\ns = "e * turn"': ("NG304", "`*` takes numbers, found ids"),
    'times = "r"\ns = "e if turn == 0 else s"': (
        "NG111",
        "`==` compares numbers, found a value and the number 0",
    ),
    'times = "r"\ns = "s + embedding(turn, 4, width) + e"': ("NG306", "a table of 4 rows for 8 ids"),
    'times = "r"\ns = "s + e + r"': ("NG207", "`r` is a dial, chosen at run time"),
    'times = "r + 1"\ns = "s + e"': ("NG207", "`r` is a dial, chosen at run time"),
    'times = "r"\nbackprop = "r"\ns = "s + e"': ("NG207", "`r` is a dial, chosen at run time"),
    'times = "q"\ns = "s + e"': ("NG201", "nothing is called `q` here"),
    'times = 0\ns = "s + e"': ("NG303", "the number of turns is 0, and a size is at least 1"),
    'times = 2000\ns = "s + e"': ("NG404", "2,000 turns, more than the 1,024 of any loop"),
    'times = 2\nbackprop = 0\ns = "s + e"': ("NG303", "`backprop` is 0, and a size is at least 1"),
    'times = 2\ns = "s + e + again(s, e)"': ("NG203", "[loop.again] calls itself"),
    'times = 2\nr = "s"\ns = "r + e"': ("NG107", "`r` is an equation and a dial"),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_loops_that_cannot_turn(lines: str, faults, small):
    tables = f'[dial.r]\ndefault = 3\nmax = 8\n[loop.again]\ninputs = ["s", "e"]\n{lines}\n'
    found = faults(small(tables=tables, model='a = "again(embed, embed)"', last="a"))
    assert [(code, message) for code, _, message in found if code != "NG402"] == [REFUSED[lines]]
