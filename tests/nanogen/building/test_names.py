"""Names in every branch: unknown ones once, with what was meant; collisions once."""

import pytest

from nanogen.building.names import check_names
from nanogen.language.spec import read_spec
from nanogen.text.document import parse_document


def checked(text: str):
    document, found = parse_document("small.toml", text)
    assert not found
    spec, found = read_spec(document)
    assert not found, found
    return check_names(spec)


def codes(text: str) -> list[str]:
    return [d.code for d in checked(text)[1] if d.code != "NG402"]


MIX = '[module.mix]\ny = "linear(x, width)"\n'


def test_a_slip_is_told_and_repaired(small):
    tables = '[module.mixer]\ny = "relu(x)"\n'
    names, found = checked(small(tables=tables, model='h = "mxier(embde)"', last="h"))
    assert [(d.code, d.help) for d in found] == [
        ("NG202", "did you mean `mixer`?"),
        ("NG201", "did you mean `embed`?"),
    ]
    assert names.repairs == {("model", "mxier"): "mixer", ("model", "embde"): "embed"}


def test_a_missing_name_is_told_once_however_many_read_it(small):
    text = small(model='a = "embed * scale"\nb = "a * scale"\nc = "b * scale"', last="c")
    assert codes(text) == ["NG201"]


def test_an_equation_that_calls_its_own_name_misses_a_module(small):
    assert codes(small(model='mlp = "mlp(embed)"', last="mlp")) == ["NG202"]


def test_branches_that_are_not_built_are_read(small):
    assert codes(small(model='h = "embed if depth else gone(nothing)"', last="h")) == ["NG202", "NG201"]


@pytest.mark.parametrize("name", ["tokens", "positions"])
def test_ids_are_handed_down(small, name):
    tables = f'[module.mix]\ny = "x + embedding({name}, vocab, width)"\n'
    _, found = checked(small(tables=tables, model='h = "mix(embed)"', last="h"))
    assert [d.help for d in found] == [f'hand it down: `inputs = ["x", "{name}"]`']


def test_what_could_not_be_read_is_no_unknown_name():
    text = (
        'kind = "model"\nlanguage = 1\n[dims]\nvocab = "8 +"\ncontext = 8\n'
        '[module.forward]\ny = "x"\n[model]\nh = "relu("\nlogits = "forward(linear(h, vocab))"\n'
    )
    spec, found = read_spec(parse_document("a", text)[0])
    assert sorted(d.code for d in found) == ["NG011", "NG011", "NG106"]
    assert check_names(spec)[1] == []


def test_words_of_settings_are_no_names(small):
    text = small(
        model='h = "linear(embed, width, init=trunc(1 / sqrt(fan_in), 3), role=mine, dtype=float32)"',
        last="h",
    )
    assert codes(text) == []
    assert codes(small(model='h = "linear(embed, width, init=normal(scale))"', last="h")) == ["NG201"]
    assert codes(small(model='h = "linear(embed, width, init=gaussian(1))"', last="h")) == ["NG202"]
    assert codes(small(model='h = "linear(embed, width, init=exp)"', last="h")) == ["NG201"]


def test_a_setting_that_is_compared(small):
    _, found = checked(small(model='h = "linear(embed, width, init==zeros)"', last="h"))
    assert [(d.code, d.help) for d in found] == [("NG112", "write one `=`: `init=..`")]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("[module.width]\ny = 'relu(x)'", "`width` is a module and a dim"),
        ("[module.relu]\ny = 'x + 1'", "`relu` is a module and a primitive"),
        ("[module.max]\ny = 'x + 1'", "`max` is a module and a primitive"),
        ("[module.m]\ninputs = ['width']\ny = 'relu(width)'", "`width` is an input and a dim"),
        ("[module.m]\nargs = { width = 1 }\ny = 'relu(x)'", "`width` is an argument and a dim"),
        ("[module.m]\nargs = { x = 1 }\ny = 'relu(x)'", "`x` is an input and an argument"),
        ("[module.m]\nargs = { rope = 1 }\ny = 'relu(x) * rope'", "`rope` is an argument and a primitive"),
        ("[module.m]\nargs = { k = 1 }\nk = 'x'\ny = 'relu(k)'", "`k` is an equation and an argument"),
        ("[module.m]\nx = 'relu(x)'\ny = 'x'", "`x` is an equation and an input"),
        ("[module.m]\nwidth = 'relu(x)'\ny = 'width'", "`width` is an equation and a dim"),
        ("[stack.t]\nlayers = 1\nx = { m = 'rest' }\n[module.m]\ny = 'x'", "`x` is a choice and an input"),
        (
            "[stack.t]\nlayers = 1\nlinear = { m = 'rest' }\nx = 'linear(x)'\n[module.m]\ny = 'x'",
            "`linear` is a choice and a primitive",
        ),
    ],
)
def test_one_name_has_one_meaning(small, tables, message):
    found = [d for d in checked(small(tables=tables))[1] if d.code == "NG107"]
    assert [d.message for d in found] == [message]


def test_values_may_have_the_names_of_modules_and_primitives(small):
    text = small(
        tables=MIX, model='mix = "mix(embed)"\nrope = "relu(mix)"\nattend = "rope + 1"', last="attend"
    )
    assert codes(text) == []
    assert codes(text) == []


def test_an_argument_or_a_choice_may_have_a_modules_name(small):
    tables = (
        '[module.mlp]\ny = "relu(x)"\n[module.moe]\ny = "silu(x)"\n'
        '[module.layer]\nargs = { mlp = "mlp" }\ny = "mlp(x)"\n'
        '[stack.t]\nlayers = 2\nmlp = { mlp = [0], moe = "rest" }\nx = "layer(mlp(x), mlp=moe)"\n'
    )
    assert codes(small(tables=tables, model='t = "t(embed)"', last="t")) == []


def test_rules_and_defaults_read_dims_alone(small):
    tables = (
        '[module.m]\nargs = { k = 1, j = "k" }\ny = "x * j * k"\n'
        '[stack.t]\nlayers = "h"\nh = 2\nc = { m = "h > 1", other = "rest" }\nx = "c(x) * h"\n'
        '[module.other]\ny = "relu(x)"\n'
    )
    _, found = checked(small(tables=tables, model='t = "t(embed)"', last="t"))
    assert [(d.code, d.message) for d in found] == [
        ("NG201", "nothing is called `k` here"),
        ("NG201", "nothing is called `h` here"),
    ]


def test_who_sees_the_index(small):
    tables = (
        '[module.a]\nf = "i"\ny = "x * f"\n[module.b]\nargs = { g = "plain" }\ny = "g(x)"\n[module.plain]\ny = "relu(x)"\n'
        '[stack.t]\nlayers = 2\nx = "b(x, g=a)"\n[stack.u]\nlayers = 2\nx = "plain(x)"\n'
    )
    names, _ = checked(small(tables=tables, model='t = "t(embed)"\nu = "u(t)"', last="u"))
    assert names.indexed == {"a", "b", "t", "u", "model"} - {"u"}


def test_a_primitive_handed_on_is_told_to_become_a_module(small, faults):
    tables = '[module.m]\nargs = { act = "silu" }\ny = "act(x)"\n'
    found = faults(small(tables=tables, model='m = "m(embed)"', last="m"))
    assert [(code, message) for code, _, message in found] == [
        ("NG201", "`silu` is a primitive, and only modules and values are handed on")
    ]
