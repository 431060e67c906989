"""A model laid open: layers, equations and parameters, with shares that add up."""

import json
from pathlib import Path

import pytest

from nanogen.answers.parameters import count, parameters
from nanogen.answers.shares import Share
from nanogen.compiler import compile_file
from nanogen.views.card import card
from nanogen.views.figures import bytes_text
from nanogen.views.show import Equation, lay_open, lay_open_layer, model_as_json
from runtime import optimizer_memory

ROOT = Path(__file__).parents[3]
HYBRID = ROOT / "tests/nanogen/good/hybrid.toml"
SPECS = [*sorted((ROOT / "specs").glob("*.toml")), *sorted((ROOT / "tests/nanogen/good").glob("*.toml"))]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_the_total_is_what_the_card_says(path):
    compiled = compile_file(path)
    model = lay_open(compiled.graph)
    text = card(compiled, optimizer_memory)
    for number in (
        f"parameters  {model.cost.parameters:,}",
        f"training    {model.cost.training:,.0f}",
        f"decoding    {model.cost.decoding:,}",
        bytes_text(model.cost.state),
    ):
        assert number in text
    assert sum((e.cost for e in model.equations), Share(model.context)) == model.cost


def test_stacks_are_the_share_of_the_equation_that_calls_them():
    model = lay_open(compile_file(HYBRID).graph)
    shares = {e.path: e.cost for e in model.equations}
    assert [s.path for s in model.stacks] == ["first", "first.3.deep.y", "again", "again.3.deep.y"]
    for stack in model.stacks:
        if stack.path in shares:
            assert stack.cost == shares[stack.path]
    assert model.stacks[0].choices == ["mixer", "hidden"]
    assert model.stacks[0].facts == ["window"]


def test_layers_that_are_alike_have_one_form():
    layers = lay_open(compile_file(ROOT / "specs/saint_iberis_d20.toml").graph).stacks[0].layers
    assert len({layer.form for layer in layers}) == 2
    assert layers[1].form == layers[19].form != layers[0].form


def owned(equation: Equation) -> list[str]:
    return [p.path for p in equation.owned] + [path for inner in equation.inside for path in owned(inner)]


@pytest.mark.parametrize("index", range(6))
def test_every_parameter_of_a_layer_stands_once_under_its_path(index):
    graph = compile_file(HYBRID).graph
    inside = lay_open_layer(graph, f"again.{index}")
    deep = [p.path for p in parameters(graph) if p.path.startswith(f"again.{index}.deep.")]
    shown = [path for equation in inside.equations for path in owned(equation)]
    assert sorted(shown + deep) == sorted(
        p.path for p in parameters(graph) if p.path.startswith(f"again.{index}.")
    )
    assert sum((e.cost for e in inside.equations), Share(graph.context)) == inside.cost


def test_paths_lead_into_modules_and_stacks_within():
    graph = compile_file(HYBRID).graph
    assert lay_open_layer(graph, "first.3.deep.y.1").unit.name == "twice"
    assert lay_open_layer(graph, "first.3.mix").unit.name == "conv"
    gate = lay_open_layer(graph, "first.3.mix").equations[0]
    assert (gate.path, gate.shape, gate.cost.parameters) == ("first.3.mix.gate", "B T 32", 1024)


def test_json_holds_everything():
    graph = compile_file(HYBRID).graph
    found = json.loads(json.dumps(model_as_json(lay_open(graph))))
    assert found["total"]["parameters"] == count(graph)
    assert found["stacks"][0]["layers"][5]["facts"]["window"] is None


def test_a_layer_says_which_layers_it_reads():
    graph = compile_file(HYBRID.with_name("unet.toml")).graph
    told = {e.path: e.text for e in lay_open_layer(graph, "trunk.4").equations}
    assert told["trunk.4.joined"] == "x + skip * at(x, 1)"
    assert told["trunk.4.first"] == "at(mix.values, 0)"


def test_what_a_loop_computes_is_shown_for_one_turn():
    graph = compile_file(HYBRID.with_name("two_states.toml")).graph
    model = lay_open(graph)
    assert [(s.path, s.loop) for s in model.stacks] == [("think.deep", "think")]
    turn = lay_open_layer(graph, "think")
    assert turn.loop == lay_open_layer(graph, "think.deep.1").loop == "think"
    whole = next(e.cost for e in model.equations if e.path == "think")
    assert whole.decoding == 4 * turn.cost.decoding
    # three turns have gradients, and behind the last of them none reads the gate: its matmul has none there
    gate = 2 * 64 * 64
    assert whole.training == 4 * turn.cost.row / 32 + 2 * (3 * turn.cost.row / 32 - gate)
