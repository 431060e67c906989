"""A graph's equations as text: read again, they are the same graph."""

from pathlib import Path

import pytest

from nanogen.compiler import compile_text
from nanogen.views.equation import Forms, either, merged, written

HEAD = """
kind = "model"
language = 1
[dims]
width = 8
vocab = 11
context = 16
[module.gated]
args = { inner = 4, act = "soft" }
up = "linear(x, inner)"
y = "linear(act(up), width)"
[module.soft]
y = "silu(x)"
[module.hard]
y = "relu(x)"
[model]
e = "embedding(tokens, vocab, width)"
"""


def graph_of(body: str):
    return compile_text(HEAD + body).graph


@pytest.mark.parametrize(
    "text",
    [
        "e - (e - e)",
        "e - e - e",
        "e / (e * e) / 2",
        "2 ** -e",
        "(-e) ** 2",
        "-e ** 2",
        "(e ** 2) ** e",
        "e ** e ** 2",
        "-(e + e) * 3",
        "1 - e",
        "(e + 1)[:4]",
        "e[2:6]",
        "split(e, 2)[1]",
        "split(e, 2)[0, :2]",
        "flatten(sigmoid(e[:2])[..., None] * split(e, 2))",
        "rope(split(e, 2), 10000, direction=-1)",
        "linear(e, 8, bias=true, init=0.5 * normal(0.02), role=head)",
        "rms_norm(e, gain=true, eps=0.001)",
        "attend(split(e, 2), split(e, 2), split(e, 2), window=4, scale=0.3)",
        "softcap(concat(e, e), 15)",
        "gated(e, inner=6, act=hard)",
        "causal_conv(shift(e, 1), 3)",
        "parameter(2, 8, init=1.5, role=keep)[0] * e",
    ],
)
def test_what_is_written_reads_as_the_same(text):
    graph = graph_of(f'v = "{text}"\nlogits = "linear(flatten(v), vocab)"')
    again = written(graph.model.line("v").node)
    forms, second = Forms(), graph_of(f'v = "{again}"\nlogits = "linear(flatten(v), vocab)"')
    assert forms.of(graph.model) == forms.of(second.model), again


def test_the_simplest_text_is_written():
    graph = graph_of('v = "((e) + (2 * e))"\nlogits = "linear(v, vocab, init=zeros, role=head)"')
    assert written(graph.model.line("v").node) == "e + 2 * e"
    logits = graph.model.line("logits").node
    assert written(logits) == "linear(v, 11, init=zeros, role=head)"
    assert written(logits, laws=False) == "linear(v, 11)"


def test_forms_see_what_is_called_and_laws_only_when_asked():
    bodies = [
        'logits = "linear(gated(e), vocab)"',
        'logits = "linear(gated(e), vocab, init=zeros)"',
    ]
    deep = HEAD.replace("linear(act(up), width)", "linear(act(up), width, bias=true)")
    plain, zeros = (compile_text(fit(HEAD, b)).graph.model for b in bodies)
    biased = compile_text(fit(deep, bodies[0])).graph.model
    with_laws, without = Forms(), Forms(laws=False)
    assert with_laws.of(plain) != with_laws.of(zeros)
    assert without.of(plain) == without.of(zeros)
    assert without.of(plain) != without.of(biased)


def fit(head: str, body: str) -> str:
    """Two calls that own cannot share a line: the module gets one of its own."""
    return head + body.replace("gated(e)", "g") + '\ng = "gated(e)"'


def test_texts_are_merged_word_by_word():
    assert merged(["linear(x, 96)", "linear(x, 64)", "linear(x, 96)"]) == "linear(x, 96|64)"
    assert merged(["f(x, act=soft)", "f(x, act=hard)"]) == "f(x, act=soft|hard)"
    assert merged(["x"]) == "x"
    assert merged(["x + 1", "x"]) == "x + 1 | x"
    assert either(["1", "2", "3", "4", "5"], "|") == "1|2|3|.."


def test_outlines_are_equal_where_numbers_alone_differ():
    path = Path(__file__).parents[1] / "good" / "hybrid.toml"
    layers = compile_text(path.read_text()).graph.model.line("first").node.layers  # type: ignore[attr-defined]
    forms = Forms(laws=False)
    outlines = [forms.outline(layer) for layer in layers]
    assert outlines[0] == outlines[1] == outlines[4]
    assert outlines[2] == outlines[5]
    assert len(set(outlines)) == 3  # conv, attention, and the layer that goes deep
    assert len({forms.of(layer) for layer in layers}) == 6
