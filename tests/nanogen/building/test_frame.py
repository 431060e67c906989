"""The lines of a table in an order that can be computed, and the names that stand for calls."""

from __future__ import annotations

import pytest

from nanogen.graph import Unit
from tests.nanogen.running import compiled_of, holds

EMBED = """
[model]
embed = "embedding(tokens, vocab, width)"
"""
MIXER = """
[module.mixer]
v = "linear(x, width)"
y = "silu(v)"
"""


def layer_of(body: str) -> Unit:
    graph = compiled_of(body + EMBED + 't = "trunk(embed)"\nlogits = "linear(t, vocab)"').graph
    return graph.model.line("t").node.layers[0]


def order(body: str) -> list[str]:
    return [line.name for line in layer_of(body).lines]


def test_what_leaves_comes_last():
    """`b` reads the `x` that entered, wherever it stands."""
    assert order('[stack.trunk]\nlayers = 1\nx = "silu(x) + b"\nb = "relu(x)"') == ["b", "x"]


def test_what_is_read_inside_of_what_leaves_comes_after_it():
    body = (
        MIXER
        + '[stack.trunk]\ninputs = ["x", "s"]\nlayers = 2\nz = "x.v + x"\ns = "z + s"\nx = "mixer(x + s)"\n'
    )
    calls = 't = "trunk(embed, embed)"\nlogits = "linear(t, vocab)"'
    compiled, _ = holds(body + EMBED + calls)
    layer = compiled.graph.model.line("t").node.layers[0]
    assert [line.name for line in layer.lines] == ["x", "z", "s"]


def test_a_value_that_leaves_under_an_inputs_name_is_not_read_by_it():
    holds(
        MIXER
        + """
[stack.trunk]
inputs = ["x", "s"]
layers = 3
s = "silu(x) - s"
x = "mixer(s + x)"
"""
        + EMBED
        + 't = "trunk(embed, embed)"\nlogits = "linear(t + at(t.s, 1), vocab)"'
    )


LOANS = """
[module.low]
y = "linear(x, width, weights=model.w)"
[module.high]
a = "low(x)"
y = "a + linear(x, width, weights=model.w)"
[stack.trunk]
layers = 2
a = "high(x)"
x = "a + x"
"""


def test_weights_of_the_model_are_handed_down_through_all_between():
    calls = 'w = "linear(embed, width)"\nt = "trunk(w)"\nlogits = "linear(t, vocab)"'
    compiled, _ = holds(LOANS + EMBED + calls)
    layer = compiled.graph.model.line("t").node.layers[0]
    high = layer.line("a").node.unit
    assert [[loan.name for loan in unit.loans] for unit in (layer, high)] == [["model.w"], ["model.w"]]
    assert compiled.graph.model.loans == ()


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("x.v", "`x` is no equation of [module.reader]"),
        ("k.v", "`k` is no equation of [module.reader]"),
        ("width.v", "`width` is no equation of [module.reader]"),
        ("y.v", "equations in a circle: y -> y"),
    ],
)
def test_only_calls_have_an_inside(equation: str, message: str, faults, small):
    tables = f'[module.reader]\nargs = {{ k = 3 }}\ny = "{equation}"\n'
    found = faults(small(tables=tables, model='r = "reader(embed)"', last="r"))
    assert [text for code, _, text in found if code != "NG402"] == [message]
