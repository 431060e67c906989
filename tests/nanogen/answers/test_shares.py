"""Shares of the costs: they add up to the model's numbers."""

from pathlib import Path

import pytest

from nanogen.answers.flops import decoding_per_token, training_per_token
from nanogen.answers.parameters import count
from nanogen.answers.shares import Share, Shares
from nanogen.answers.state import bytes_per_row
from nanogen.compiler import compile_file

ROOT = Path(__file__).parents[3]
SPECS = [*sorted((ROOT / "specs").glob("*.toml")), *sorted((ROOT / "tests/nanogen/good").glob("*.toml"))]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_lines_and_layers_add_up(path):
    graph = compile_file(path).graph
    costs = Shares(graph.context)
    whole = costs.of_unit(graph.model)
    lines = [costs.of_line(graph.model, line) for line in graph.model.lines]
    assert sum(lines, Share(graph.context)) == whole
    assert whole.parameters == count(graph)
    read = sum(costs.of_model(graph).values(), Share(graph.context))
    assert read.training == training_per_token(graph, graph.context)
    assert whole.decoding == decoding_per_token(graph, graph.context - 1)
    assert whole.state == bytes_per_row(graph, graph.context)
