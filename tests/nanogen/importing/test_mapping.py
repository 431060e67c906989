"""An import table settled for a graph: one line a parameter, names and cuts computed."""

import pytest

from nanogen.compiler import compile_text
from nanogen.importing.mapping import Settled, settle
from nanogen.text.diagnostics import Refusal
from tests.nanogen.published import shapes, spec


def settled(text: str, **dims: int) -> Settled:
    compiled = compile_text(text, dims)
    (table,) = compiled.spec.imports.values()
    found, faults = settle(table, compiled.spec, compiled.graph)
    assert faults == []
    return found


def codes(text: str, **dims: int) -> list[tuple[str, str]]:
    try:
        return [(d.code, d.message) for d in compile_text(text, dims).warnings]
    except Refusal as refusal:
        return [(d.code, d.message) for d in refusal.diagnostics]


def test_every_parameter_has_its_parts():
    found = {f.path: [(p.tensor, p.steps, p.stacked) for p in f.parts] for f in settled(spec()).fillings}
    assert found["trunk.2.keep"] == [("resid_lambdas", ((2,),), False)]
    assert found["trunk.1.k.weight"] == [("h.1.c_attn.weight", ("T", (slice(8, 16),)), False)]
    assert found["trunk.0.up.weight"] == [("h.0.gate.weight", (), False), ("h.0.up.weight", (), False)]
    assert found["trunk.2.up.bias"] == [("h.3.bias", (), False)]
    assert found["table"] == [("codes.0", (), True), ("codes.1", (), True)]
    assert settled(spec()).tensors == set(shapes()) - {"rotary.inv_freq"}


def test_dims_that_are_set_move_names_and_cuts():
    found = {f.path: f.parts for f in settled(spec(), depth=5, width=4).fillings}
    assert found["trunk.4.k.weight"][0].steps == ("T", (slice(4, 8),))
    assert found["trunk.4.up.bias"][0].tensor == "h.5.bias"


def test_a_list_of_dims_gives_layers_other_numbers():
    text = spec(
        ("codes   = 2", "codes   = 2\norder   = [4, 9, 2]"), ('"h.{i}.down.weight"', '"h.{order[i]}.down"')
    )
    found = {f.path: f.parts[0].tensor for f in settled(text).fillings}
    assert [found[f"trunk.{i}.down.weight"] for i in range(3)] == ["h.4.down", "h.9.down", "h.2.down"]


HYBRID = """\
kind = "model"
language = 1
[dims]
vocab = 11
context = 8
[module.one]
v = "linear(x, 8)"
y = "linear(v, 8)"
[module.two]
v = "linear(x, 8)"
y = "linear(silu(v), 8)"
[stack.trunk]
layers = 3
mixer = { one = [1], two = "rest" }
mix = "mixer(x)"
x = "x + mix"
[model]
embed = "embedding(tokens, vocab, 8)"
trunk = "trunk(embed)"
logits = "linear(trunk, vocab)"
[import.theirs]
"embed.weight" = "wte"
"logits.weight" = "head"
"trunk.{i}.mix.y.weight" = "h.{i}.out"
"""


def test_layers_of_another_module_have_other_names():
    line = '"trunk.{i}.mix.v.weight" = { one = "h.{i}.value", two = "h.{i}.gated" }\n'
    found = {f.path: f.parts[0].tensor for f in settled(HYBRID + line).fillings}
    assert [found[f"trunk.{i}.mix.v.weight"] for i in range(3)] == ["h.0.gated", "h.1.value", "h.2.gated"]


def test_a_module_without_its_line_is_told():
    line = '"trunk.{i}.mix.v.weight" = { one = "h.{i}.value" }\n'
    assert codes(HYBRID + line) == [
        ("NG502", "no line of `[import.theirs]` fills `trunk.0.mix.v.weight` and 1 more like it")
    ]


def test_a_line_for_nothing_is_a_warning_of_the_file_as_written():
    text = spec() + '"trunk.{i}.value.weight" = "h.{i}.value"\n'
    assert [code for code, _ in codes(text)] == ["NG402"]
    assert codes(text, depth=2) == []


def test_with_other_dims_a_table_that_lacks_lines_waits_for_the_import():
    text = spec().replace('"smear" ', '"smaer" ')
    assert {code for code, _ in codes(text)} == {"NG502"}
    assert codes(text, depth=2) == []


@pytest.mark.parametrize(
    ("new", "code", "message"),
    [
        (
            "h.{i - 1}.down",
            "NG501",
            "a layer's number is whole and at least 0, found -1 for `trunk.0.down.weight`",
        ),
        (
            "h.{i / 2}.down",
            "NG501",
            "a layer's number is whole and at least 0, found 0.5 for `trunk.1.down.weight`",
        ),
        ("h.{1 // i}.down", "NG302", "1 // 0 divides by zero"),
        ("h.{i}.{e < 10 ** 9}", "NG404", "more than 200,000 tensors are named here"),
    ],
)
def test_numbers_that_count_no_layer(new, code, message):
    assert codes(spec(("h.{i}.down.weight", new))) == [(code, message)]
