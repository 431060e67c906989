"""Shares of the costs: they add up to the model's numbers, also where gradients do not reach all."""

from pathlib import Path

import pytest

from nanogen.answers.backward import Reached
from nanogen.answers.flops import decoding_per_token, training_per_token
from nanogen.answers.parameters import count
from nanogen.answers.shares import Share, Shares
from nanogen.answers.state import bytes_per_row
from nanogen.compiler import compile_file
from nanogen.graph import Graph
from nanogen.views.show import lay_open, lay_open_layer
from tests.nanogen.running import compiled_of

ROOT = Path(__file__).parents[3]
SPECS = [*sorted((ROOT / "specs").glob("*.toml")), *sorted((ROOT / "tests/nanogen/good").glob("*.toml"))]
DEAD = {
    "a value that the last layer leaves and none reads": """
[stack.trunk]
inputs = ["x", "s"]
layers = 3
u = "linear(s, width)"
x = "x + s"
s = "silu(u)"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed, 2 * embed)"
logits = "linear(trunk, vocab)"
""",
    "a value that the last turn leaves, and turns that gradients do not reach": """
[loop.think]
inputs = ["x", "s"]
times = 5
backprop = 3
u = "linear(s, width)"
x = "x + s"
s = "silu(u)"
[model]
embed = "embedding(tokens, vocab, width)"
think = "think(embed, 2 * embed)"
logits = "linear(think, vocab)"
""",
    "a stack in layers, of which one is read inside alone": """
[stack.low]
inputs = ["x", "s"]
layers = 2
u = "linear(s, width)"
x = "x + s"
s = "silu(u)"
[module.side]
v = "linear(x, width)"
y = "low(v, x)"
[stack.high]
layers = 2
a = "side(x)"
w = "linear(a, width)"
x = "x + w + a.v"
[model]
embed = "embedding(tokens, vocab, width)"
high = "high(embed)"
logits = "linear(high + at(high.a.v, 0), vocab)"
""",
}


def add_up(graph: Graph) -> None:
    costs, reached = Shares(graph.context), Reached.whole(graph)
    whole = costs.of_model(graph)
    lines = [costs.of_line(reached, line) for line in graph.model.lines]
    assert sum(lines, Share(graph.context)) == whole
    assert whole.parameters == count(graph)
    assert whole.training == training_per_token(graph, graph.context)
    assert whole.decoding == decoding_per_token(graph, graph.context - 1)
    assert whole.state == bytes_per_row(graph, graph.context)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_lines_and_layers_add_up(path):
    add_up(compile_file(path).graph)


@pytest.mark.parametrize("name", DEAD)
def test_what_has_no_gradient_adds_up_too(name: str):
    graph = compiled_of(DEAD[name]).graph
    add_up(graph)
    shares = {equation.path: equation.cost for equation in lay_open(graph).equations}
    for stack in lay_open(graph).stacks:
        for layer in stack.layers:
            inside = lay_open_layer(graph, f"{stack.path}.{layer.index}")
            assert layer.cost == inside.cost == sum((e.cost for e in inside.equations), Share(graph.context))
        assert shares.get(stack.path, stack.cost) == stack.cost


def test_the_last_layer_has_no_backward_for_what_none_reads():
    graph = compiled_of(DEAD["a value that the last layer leaves and none reads"]).graph
    first, second, last = (layer.cost for layer in lay_open(graph).stacks[0].layers)
    each = 2 * 6 * 6 * graph.context
    assert [(cost.row, cost.back) for cost in (first, second, last)] == [
        (each, 2 * each),
        (each, 2 * each),
        (each, 0),
    ]
