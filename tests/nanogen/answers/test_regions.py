"""Regions of a graph: innermost layers and turns, each by the path of its module."""

from __future__ import annotations

import pytest

from nanogen.answers.regions import regions
from tests.nanogen.running import compiled_of, model_of

MODEL = """
[model]
e = "embedding(tokens, vocab, width)"
{line}
logits = "linear(out, vocab)"
"""
DEEP = """
[module.mlp]
y = "linear(x, width)"
[stack.inner]
layers = 2
x = "mlp(x)"
"""


def found(tables: str, line: str) -> list[str]:
    """The regions of a spec, each of which is a module of its source."""
    compiled, model = model_of(DEEP + tables + MODEL.format(line=line))
    paths = regions(compiled.graph)
    assert all(model.get_submodule(path) is not None for path in paths)
    assert compiled.blueprint["regions"] == paths
    return paths


def test_layers_of_a_stack():
    assert found("", 'out = "inner(e)"') == ["out.0", "out.1"]


def test_the_innermost_layers_count_wherever_they_stand():
    outer = '[stack.around]\nlayers = 2\nn = "mlp(x)"\nx = "inner(n)"'
    wanted = ["out.0.x.0", "out.0.x.1", "out.1.x.0", "out.1.x.1"]
    assert found(outer, 'out = "around(e)"') == wanted
    assert found('[module.all]\ny = "inner(x)"', 'out = "all(e)"') == ["out.y.0", "out.y.1"]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [('x = "mlp(x)"', ["out"]), ('n = "mlp(x)"\nx = "inner(n)"', ["out.x.0", "out.x.1"])],
    ids=["without layers", "with layers"],
)
def test_a_turn_is_a_region_where_it_has_none_inside(body: str, wanted: list[str]):
    loop = f'[dial.r]\ndefault = 2\n[loop.think]\ntimes = "r"\n{body}'
    assert found(loop, 'out = "think(e)"') == wanted


def test_turns_of_a_known_number_that_own_nothing_are_part_of_their_layer():
    outer = '[loop.halve]\ntimes = {times}\nx = "0.5 * x"\n[stack.around]\nlayers = 1\nn = "mlp(x)"\nx = "halve(n)"'
    assert found(outer.format(times=3), 'out = "around(e)"') == ["out.0"]
    dial = "[dial.r]\ndefault = 2\n" + outer.format(times='"r"')
    assert found(dial, 'out = "around(e)"') == []  # its graph would hold for one r


def test_weights_of_others_add_no_region():
    assert found("", 'one = "inner(e)"\nout = "inner(one, weights=one)"') == ["one.0", "one.1"]


def test_a_model_without_layers_has_none():
    body = MODEL.format(line='out = "e + 1"')
    assert regions(compiled_of(body).graph) == []
