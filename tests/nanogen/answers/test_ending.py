"""Where a model's ending comes apart by position, what it computes with, and why not."""

from __future__ import annotations

import pytest

from nanogen.answers.ending import LEAST, MOST, Ending, Weight, Whole, crossing, ending, front
from nanogen.compiler import compile_text
from nanogen.load import Value
from nanogen.views.card import loss_text

HEAD = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 64\ncontext = 32\nwidth = 16\n'
TRUNK = """
[stack.trunk]
layers = 2
a = "linear(x, width)"
x = "x + a"
[model]
embed = "embedding(tokens, vocab, width)"
"""


def graph_of(ending: str, body: str = TRUNK):
    return compile_text(HEAD + body + ending).graph


def weights_of(text: str) -> dict[str, bool]:
    found = ending(graph_of(text))
    assert isinstance(found, Ending)
    return {weight.path: weight.cast for weight in found.weights}


def test_the_head_is_found_whatever_it_is_called():
    text = 'trunk = "trunk(embed)"\nn = "rms_norm(trunk, gain=true)"\nout = "linear(n, vocab, bias=true)"'
    found = weights_of(text + '\nlogits = "softcap(2 * out, 15)"')
    assert found == {"n.gain": False, "out.weight": True, "out.bias": False}


def test_a_tied_head_is_the_tables():
    assert weights_of('trunk = "trunk(embed)"\nlogits = "linear(trunk, vocab, weights=embed)"') == {
        "embed.weight": True
    }


def test_a_weight_that_a_wide_value_meets_is_not_cast():
    assert weights_of('trunk = "trunk(embed)"\nlogits = "linear(float32(trunk), vocab)"') == {
        "logits.weight": False
    }


def test_what_a_module_owns_is_read_as_it_is():
    module = '[module.last]\nn = "rms_norm(x, gain=true)"\ny = "linear(n, width)"\n'
    found = ending(
        graph_of('trunk = "trunk(embed)"\nm = "last(trunk)"\nlogits = "linear(m, vocab)"', module + TRUNK)
    )
    assert isinstance(found, Ending)
    assert {Weight("m.n.gain", False), Weight("m.y.weight", False), Weight("logits.weight", True)} == set(
        found.weights
    )


WHOLE = {
    'trunk = "trunk(embed)"\nlogits = "shift(linear(trunk, vocab), 1)"': "`logits` sees other positions",
    'trunk = "trunk(embed)"\np = "linear(trunk, width)"\n'
    'm = "flatten(rope(split(p, 2), 100))"\nlogits = "linear(m, vocab)"': "`m` turns by position",
    'trunk = "trunk(embed)"\nd = "dropout(trunk, 0.1)"\nlogits = "linear(d, vocab)"': "`d` draws",
    'head = "linear(embed, vocab)"\nt = "trunk(embed)"\nlogits = "head * t[:1]"': "no weights follow the layers",
    'table = "parameter(vocab, width, init=zeros)"\nt = "trunk(embed + table[0])"\n'
    'logits = "linear(t, vocab) * table[:, 0]"': "`logits` reads a table that the layers read too",
}


@pytest.mark.parametrize("text", WHOLE)
def test_what_does_not_come_apart_says_why(text: str):
    compiled = compile_text(HEAD + TRUNK + text)
    found = ending(compiled.graph)
    assert found == Whole(WHOLE[text])
    assert compiled.blueprint["ending"] is None
    assert loss_text(compiled.graph) == ("all", f"logits are there at once for the loss: {WHOLE[text]}")


def test_a_model_without_layers_has_no_ending():
    found = ending(
        graph_of(
            'logits = "linear(embed, vocab)"', "[model]\n" + 'embed = "embedding(tokens, vocab, width)"\n'
        )
    )
    assert found == Whole("the model has no layers")


@pytest.mark.parametrize(("width", "positions"), [(16, LEAST), (256, 512), (8192, MOST)])
def test_positions_go_with_the_size_of_the_head(width: int, positions: int):
    text = HEAD.replace("width = 16", f"width = {width}")
    graph = compile_text(text + TRUNK + 'trunk = "trunk(embed)"\nlogits = "linear(trunk, vocab)"').graph
    found = ending(graph)
    assert isinstance(found, Ending)
    assert found.positions == positions
    assert loss_text(graph)[0] == f"{positions:,}"


def test_chunks_are_of_one_size():
    found = Ending(100, ())
    assert [found.chunk(count) for count in (1, 100, 101, 200, 201, 250)] == [1, 100, 51, 100, 67, 84]


def test_what_crosses_is_told_once():
    graph = graph_of(
        'trunk = "trunk(embed)"\nout = "trunk - at(trunk.x, 0) + embed + trunk"\nlogits = "linear(out, vocab)"'
    )
    assert len(crossing(graph.model)) == 3
    assert crossing(graph.model)[0] == Value((16,))
    assert [line.name for line in front(graph).model.lines] == ["embed", "trunk"]
