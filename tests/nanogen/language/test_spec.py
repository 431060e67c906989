"""Keys and kinds of a model's tables, and equations that parse; what names mean is not asked here."""

import pytest

from nanogen.language.expression import Call, List_, Name, Number, Unary
from nanogen.language.spec import read_override, read_spec
from nanogen.text.document import parse_document

HEAD = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 32\ncontext = 8\n'
MODEL = '[model]\nlogits = "linear(embedding(tokens, vocab, 8), vocab)"\n'


def spec(text: str, given: dict | None = None):
    document, found = parse_document("folder/small.toml", text)
    assert not found
    return read_spec(document, given)


def found(text: str, given: dict | None = None) -> list[str]:
    return [f"{d.code} {d.message}" for d in spec(text, given)[1]]


def test_a_whole_spec_is_read():
    text = (
        HEAD
        + """
attn = [1, 3]
[meta]
about = "small"
[defaults]
rope = { base = 10000, table = "bfloat16" }
[module.mix]
inputs = ["x", "tokens"]
args = { kernel = 3, inner = "2 * vocab" }
y = "linear(x, inner)"
[stack.trunk]
layers = 4
mixer = { mix = [1], mlp = "rest", other = "i > 2" }
x = "mixer(x)"
"""
        + MODEL
    )
    read, faults = spec(text)
    assert faults == []
    assert read.name == "small"
    assert list(read.dims) == ["vocab", "context", "attn"]
    mix, trunk = read.tables["mix"], read.tables["trunk"]
    assert (mix.inputs, list(mix.args), mix.results) == (("x", "tokens"), ["kernel", "inner"], ("y",))
    assert (trunk.inputs, trunk.results, trunk.described) == (("x",), ("x",), "[stack.trunk]")
    rules = trunk.choices["mixer"].rules
    assert [(r.module, r.layers is None) for r in rules] == [("mix", False), ("mlp", True), ("other", False)]
    assert read.model.inputs == ("tokens", "positions")
    assert read.model.results == ("logits",)
    assert isinstance(read.defaults["rope"]["table"].expression, Name)


def test_the_result_of_a_stack_is_every_input_with_an_equation():
    text = HEAD + '[stack.t]\ninputs = ["x", "s", "x0"]\nlayers = 2\ns = "s + x0"\nx = "x + s"\n' + MODEL
    assert spec(text)[0].tables["t"].results == ("x", "s")


def test_bare_values_are_equations():
    read, faults = spec(HEAD.replace("[dims]", "[dims]\na = -2.5\nb = true\nc = [1, [2]]\n") + MODEL)
    assert faults == []
    assert [type(read.dims[n].expression) for n in "abc"] == [Unary, Name, List_]
    assert not read.dims["a"].written


@pytest.mark.parametrize(
    "value", ["nan", "inf", "1e400", "10000000000000000000", "[[[1]]]", '["a"]', "1979-05-27", "{}"]
)
def test_values_that_are_no_equation(value):
    assert [m[:5] for m in found(HEAD + f"d = {value}\n" + MODEL)] == ["NG101"]


def test_a_long_list_is_refused():
    assert found(HEAD + f"d = {[0] * 10_001}\n" + MODEL) == [
        "NG101 this list has 10,001 items, more than 10,000"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "NG102 the file is empty"),
        ("language = 1\n[dims]\nvocab = 1\ncontext = 1\n" + MODEL, "NG102 the file does not say its kind"),
        (
            'kind = "model"\n[dims]\nvocab = 1\ncontext = 1\n' + MODEL,
            "NG102 the file does not say its language",
        ),
        ('kind = "model"\nlanguage = 9\n', "NG105 language 9 is newer than 1, which this compiler reads"),
        ('kind = "run"\nmodel = "x"\n[stage.a]\n', 'NG101 the kind of a spec is "model", found "run"'),
        (
            "kind = 3\nlanguage = 1\n[dims]\nvocab = 1\ncontext = 1\n" + MODEL,
            'NG101 the kind of a spec is "model", found the number 3',
        ),
        (
            HEAD.replace("1\n", "true\n", 1) + MODEL,
            "NG101 `language` is a whole number from 1 on, found true",
        ),
        (HEAD, "NG102 the table `[model]` is missing"),
        (HEAD + "[modle]\nlogits = 3\n", "NG103 a spec has no `modle`"),
        ('kind = "model"\nlanguage = 1\n' + MODEL, "NG102 the table `[dims]` is missing"),
        (
            'kind = "model"\nlanguage = 1\nmodel = 3\n[dims]\nvocab = 1\ncontext = 1\n',
            "NG101 `model` is a table, found the number 3",
        ),
        (HEAD + "[module]\nm = 3\n" + MODEL, "NG101 `module.m` is a table, found the number 3"),
        (
            HEAD + '[module.m]\nx = { a = 1 }\ny = "x"\n' + MODEL,
            "NG101 an equation is text or a number, found a table",
        ),
    ],
)
def test_one_fault_of_the_whole_is_one_diagnostic(text, message):
    assert found(text) == [message]


def test_a_slip_of_a_table_is_read_on():
    read, faults = spec(HEAD + '[modul.mix]\ny = "x"\n' + MODEL)
    assert [d.help for d in faults] == ["did you mean `module`?"]
    assert list(read.tables) == ["mix"]


def test_a_slip_of_layers_is_one_fault():
    read, faults = spec(HEAD + '[stack.t]\nlayrs = 3\nx = "x"\n' + MODEL)
    assert [(d.code, d.help) for d in faults] == [("NG103", "did you mean `layers`?")]
    assert isinstance(read.tables["t"].count.expression, Number)  # type: ignore[union-attr]
    assert "layrs" not in read.tables["t"].equations


def test_a_slip_of_inputs_or_args_is_one_fault():
    read, faults = spec(HEAD + '[module.m]\ninput = ["a", "b"]\narg = { k = 1 }\ny = "a + b * k"\n' + MODEL)
    assert [(d.code, d.help) for d in faults] == [
        ("NG103", "did you mean `inputs`?"),
        ("NG103", "did you mean `args`?"),
    ]
    assert (read.tables["m"].inputs, list(read.tables["m"].args)) == (("a", "b"), ["k"])


def test_a_key_that_cannot_be_read_is_known_by_name():
    read, faults = spec(HEAD + 'bad = "1 +"\n[module.m]\nh = "relu(x"\ny = "h"\n' + MODEL)
    assert [d.code for d in faults] == ["NG011", "NG011"]
    assert read.refused == {"bad"}
    assert read.tables["m"].refused == {"h"}


@pytest.mark.parametrize(
    "name", ["forward", "train", "state_dict", "_x", "i", "tokens", "lambda", "turn", "é"]
)
def test_equations_have_names_that_a_module_can_have(name):
    assert [m[:5] for m in found(HEAD + f'[module.m]\n"{name}" = "relu(x)"\ny = "x"\n' + MODEL)] == ["NG106"]


@pytest.mark.parametrize("name", ["half", "float", "type", "train"])
def test_dims_and_args_are_no_attributes(name):
    assert (
        found(HEAD + f"{name} = 3\n[module.m]\nargs = {{ {name}s = 1, {name} = 2 }}\ny = 'x'\n" + MODEL) == []
    )


@pytest.mark.parametrize("name", ["model", "dims", "defaults", "loss"])
def test_tables_have_names_of_their_own(name):
    assert [m[:5] for m in found(HEAD + f'[module.{name}]\ny = "x"\n' + MODEL)] == ["NG106"]


def test_what_is_to_come_is_refused_by_name():
    own = '[loss]\nnext = "0.5 * cross_entropy(logits)"\n'
    assert found(HEAD + own + MODEL) == ["NG104 a loss of one's own is not in this compiler yet"]
    assert found(HEAD + '[loss]\nnext = "cross_entropy(logits)"\n' + MODEL) == []


def test_a_name_of_a_model_is_plain():
    """It stands in emitted source and in paths."""
    assert [m[:5] for m in found(HEAD + '[meta]\nname = \'a"""; import os\'\n' + MODEL)] == ["NG106"]
    document, _ = parse_document('odd"""name.toml', HEAD + MODEL)
    assert read_spec(document)[0].name == "odd___name"


def test_overrides_replace_a_dim():
    read, faults = spec(HEAD + "depth = 3\n" + MODEL, {"depth": "2 * vocab"})
    assert faults == []
    assert isinstance(read.written["depth"].expression, Number)
    assert not read.dims["depth"].written  # its text is not the file's
    assert found(HEAD + MODEL, {"depht": 3}) == ["NG108 `--set depht` names no dim of this spec"]
    assert found(HEAD + MODEL, {"vocab": "1 +"}) == ["NG011 this equation stops too early"]


def test_overrides_are_toml():
    assert read_override("depth=12") == ("depth", 12)
    assert read_override("attn=[2, 5]") == ("attn", [2, 5])
    assert read_override('width = "64 * depth"') == ("width", "64 * depth")
    for text in ("depth", "=3", "depth=", "depth=twelve", "de-pth=3", "d=1\nother=2", "a.b=3", "d='\udcff'"):
        with pytest.raises(ValueError, match="--set depth=12"):
            read_override(text)


def test_calls_are_parsed_not_run():
    read, faults = spec(HEAD + "[module.m]\ny = \"__import__('os')\"\n" + MODEL)
    assert faults == []
    assert isinstance(read.tables["m"].equations["y"].expression, Call)
