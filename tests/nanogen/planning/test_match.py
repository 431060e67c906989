"""A dim solved: against every number there is, and the text against the compiler."""

from pathlib import Path

import pytest

from nanogen.answers.costs import COUNTS
from nanogen.compiler import Compiled, compile_document, compile_file, compile_text
from nanogen.planning.match import match
from nanogen.text.diagnostics import Refusal

SPECS = Path(__file__).parents[3] / "specs"


@pytest.fixture(scope="module")
def iberis() -> Compiled:
    return compile_file(SPECS / "saint_iberis_d20.toml")


@pytest.fixture(scope="module")
def nanochat() -> Compiled:
    return compile_file(SPECS / "nanochat_2025.toml")


@pytest.mark.parametrize("by", COUNTS)
@pytest.mark.parametrize("dim", ["width", "kv_heads", "depth"])
def test_no_number_that_compiles_is_closer(iberis: Compiled, nanochat: Compiled, dim: str, by: str):
    wanted = COUNTS[by](iberis.graph, 2048)
    solved = match(iberis.graph, nanochat, dim, tokens=2048, by=by)
    assert solved.wanted == wanted
    assert solved.found.scanned is None
    around = {"width": range(1150, 1300), "kv_heads": range(1, 21), "depth": range(12, 30)}[dim]
    left = []
    for value in around:
        try:
            counted = COUNTS[by](compile_document(nanochat.document, {dim: value}).graph, 2048)
        except Refusal:
            continue
        left.append(abs(counted - wanted))
    assert abs(solved.found.count - wanted) == min(left)


def test_a_dim_that_can_have_any_number_leaves_nothing(iberis: Compiled, nanochat: Compiled):
    solved = match(iberis.graph, nanochat, "vocab", tokens=2048)
    assert solved.found.value == 24_092
    assert solved.percent == 0


def test_the_text_is_the_spec_that_was_found(iberis: Compiled, nanochat: Compiled):
    solved = match(iberis.graph, nanochat, "width", tokens=2048)
    again = compile_text(solved.text)  # what it expects holds too
    assert (
        COUNTS["exact"](again.graph, 2048)
        == solved.found.count
        == COUNTS["exact"](solved.compiled.graph, 2048)
    )
    assert again.graph.dims["width"] == solved.found.value == 1200
    assert again.graph.dims["heads"] == 10
    assert again.spec.expect == {"parameters": COUNTS["parameters"](again.graph, 2048)}
    old, new = nanochat.document.text.splitlines(), solved.text.splitlines()
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert changed == [
        ("parameters = 560988160", f"parameters = {again.spec.expect['parameters']}"),
        ('width    = "64 * depth"', "width    = 1200"),
    ]


def test_what_set_gave_is_written_in_too(iberis: Compiled):
    small = compile_file(SPECS / "nanochat_2025.toml", {"depth": 12, "context": 512})
    solved = match(iberis.graph, small, "width", tokens=512)
    again = compile_text(solved.text)
    assert (again.graph.dims["depth"], again.graph.context) == (12, 512)
    assert COUNTS["exact"](again.graph, 512) == solved.found.count


WINDOWED = """
kind = "model"
language = 1
[dims]
window = 4
channels = 8
rate = 0.5
sizes = [1, 2]
vocab = 16
context = 64
[model]
embed = "embedding(tokens, vocab, channels) * rate * sizes[0]"
q = "split(linear(embed, channels), 2)"
k = "split(linear(embed, channels), 2)"
mix = "flatten(attend(q, k, k, window=window))"
logits = "linear(mix, vocab)"
"""


def test_a_window_is_solved():
    wanted = compile_text(WINDOWED, {"window": 23})
    solved = match(wanted.graph, compile_text(WINDOWED), "window", tokens=64)
    assert (solved.found.value, solved.before, solved.percent) == (23, 4, 0)
    assert "window = 23" in solved.text


@pytest.mark.parametrize(
    ("dim", "code", "message"),
    [
        ("chanels", "NG108", "`--match chanels` names no dim of this spec"),
        ("sizes", "NG111", "`sizes` is a list, and whole numbers from 1 are tried"),
        ("rate", "NG111", "`rate` is the number 0.5, and whole numbers from 1 are tried"),
        ("context", "NG108", "`context` does not change what is matched: training FLOPs a token, exact"),
    ],
)
def test_what_cannot_be_solved_is_told(dim: str, code: str, message: str):
    compiled = compile_text(WINDOWED)
    with pytest.raises(Refusal) as refused:
        match(compiled.graph, compiled, dim, tokens=64)
    assert [(d.code, d.message) for d in refused.value.diagnostics] == [(code, message)]
    assert refused.value.diagnostics[0].help


def test_a_literal_list_of_layers_holds_its_depth(iberis: Compiled, nanochat: Compiled):
    with pytest.raises(Refusal) as refused:
        match(nanochat.graph, iberis, "depth", tokens=2048)
    assert [d.code for d in refused.value.diagnostics] == ["NG324"]
    assert "no other number compiles for `depth`: " in refused.value.diagnostics[0].message
