"""Files that a spec uses: what they lend, what the user overrides, and faults shown in the file they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanogen.compiler import Compiled, compile_file, compile_text
from nanogen.lowering import prove
from nanogen.text.diagnostics import Refusal
from nanogen.text.document import resolved
from nanogen.text.draw import draw, find
from runtime.model import build, initialize
from tests.nanogen.running import TOKENS

LIBRARY = 'kind = "library"\nlanguage = 1\n'
USER = """\
kind = "model"
language = 1
use = ["a.toml"]
[dims]
width = 6
vocab = 11
context = 32
[model]
embed = "embedding(tokens, vocab, width)"
a = "lent(embed)"
b = "linear(a, width)"
logits = "linear(b, vocab)"
"""
LENT = (
    LIBRARY
    + """
[dims]
width = 12
rank = 3
[defaults]
linear = { bias = true }
[module.lent]
down = "linear(x, rank)"
y = "linear(down, width)"
"""
)
PLAIN = LIBRARY + '[module.lent]\ny = "linear(x, width)"\n'


def compiled(used: dict[str, str], text: str = USER, **given) -> Compiled:
    done = compile_text(text, given, used=used)
    prove(done)
    return done


def shapes(done: Compiled) -> dict[str, list[int]]:
    return {p["path"]: p["shape"] for p in done.blueprint["parameters"]}


def faults(used: dict[str, str], text: str = USER, **given) -> list[tuple[str, int, str, str]]:
    """File, line, code and message of each fault."""
    with pytest.raises(Refusal) as refused:
        compile_text(text, given, used=used)
    document = refused.value.document
    rows = []
    for d in refused.value.diagnostics:
        there, _ = resolved(document, d.place)
        rows.append((there.name, find(document, d.place).line, d.code, d.message))
    assert draw(document, refused.value.diagnostics)
    return rows


def test_the_users_dims_hold_and_the_files_defaults_stay_its_own():
    found = shapes(compiled({"a.toml": LENT}))
    assert found["a.down.weight"] == [3, 6]
    assert found["a.y.bias"] == [6]
    assert "b.bias" not in found


def test_a_dim_of_a_used_file_is_overridden_or_set():
    given = USER.replace("width = 6", "width = 6\nrank = 2")
    assert shapes(compiled({"a.toml": LENT}, given))["a.down.weight"] == [2, 6]
    assert shapes(compiled({"a.toml": LENT}, rank=4))["a.down.weight"] == [4, 6]
    (fault,) = faults({"a.toml": LENT}, ranc=4)
    assert fault[2:] == ("NG108", "`--set ranc` names no dim of this spec")


def test_a_lent_module_is_the_module_written_out():
    lent = compiled({"a.toml": PLAIN})
    whole = compile_text(USER.replace('use = ["a.toml"]\n', "") + PLAIN.split("\n", 2)[2])
    models = []
    for done in (lent, whole):
        model = build(done.source, done.blueprint)
        initialize(model, done.blueprint, seed=0)
        models.append(model)
    assert torch.equal(models[0](TOKENS), models[1](TOKENS))


NESTED = {
    "files in folders, each from its own": {
        "a.toml": LIBRARY + 'use = ["lib/b.toml"]\n[stack.lent]\nlayers = 2\nx = "middle(x)"\n',
        "lib/b.toml": LIBRARY + 'use = ["c.toml"]\n[module.middle]\ny = "deepest(x)"\n',
        "lib/c.toml": LIBRARY + '[module.deepest]\ny = "linear(x, width)"\n',
    },
    "one file by two ways": {
        "a.toml": LIBRARY
        + 'use = ["b.toml", "c.toml"]\n[module.lent]\nb = "bee(x)"\nc = "cee(b)"\ny = "b + c"\n',
        "b.toml": LIBRARY + 'use = ["d.toml"]\n[module.bee]\ny = "dee(x)"\n',
        "c.toml": LIBRARY + 'use = ["./d.toml"]\n[module.cee]\ny = "dee(x)"\n',
        "d.toml": LIBRARY + '[module.dee]\ny = "linear(x, width)"\n',
    },
    "files in a circle": {
        "a.toml": LIBRARY + 'use = ["b.toml"]\n[module.lent]\ny = "bee(x)"\n',
        "b.toml": LIBRARY + 'use = ["a.toml"]\n[module.bee]\ny = "linear(x, width)"\n',
    },
    "a model lends too": {
        "a.toml": USER.replace('use = ["a.toml"]\n', "").replace('a = "lent(embed)"', 'a = "embed"')
        + '[module.lent]\ny = "linear(x, width)"\n'
    },
    "dials and loops": {
        "a.toml": LIBRARY
        + '[dial.r]\ndefault = 3\n[loop.lent]\ntimes = "r"\na = "linear(x, width)"\nx = "silu(a)"\n'
    },
    "one file from a folder and from beside the model": {
        "a.toml": LIBRARY
        + 'use = ["lib/b.toml", "other/c.toml"]\n[module.lent]\nb = "bee(x)"\nc = "cee(b)"\ny = "c"\n',
        "lib/b.toml": LIBRARY + 'use = ["other/c.toml"]\n[module.bee]\ny = "cee(x)"\n',
        "other/c.toml": LIBRARY + '[module.cee]\ny = "linear(x, width)"\n',
    },
    "weights of the model that uses it": {
        "a.toml": LIBRARY
        + '[module.lent]\na = "linear(x, vocab, weights=model.embed)"\ny = "linear(a, width)"\n'
    },
}


@pytest.mark.parametrize("name", NESTED)
def test_files_use_files(name: str):
    done = compiled(NESTED[name])
    assert set(done.used) == set(NESTED[name])
    assert done.warnings == ()


def test_what_a_model_leaves_unused_is_no_fault_of_the_file():
    more = '[dims]\nspare = 3\n[dial.r]\ndefault = 2\n[module.other]\nq = "linear(x, width)"\ny = "x"\n'
    assert compiled({"a.toml": LIBRARY + more + PLAIN.split("\n", 2)[2]}).warnings == ()


FAULTS = {
    "absent": ({}, [("spec.toml", 3, "NG001", "there is no file `a.toml`")]),
    "absent, and used by a used file": (
        {"a.toml": LIBRARY + 'use = ["b.toml"]\n[module.lent]\ny = "x"\n'},
        [("a.toml", 3, "NG001", "there is no file `b.toml`")],
    ),
    "empty": ({"a.toml": ""}, [("a.toml", 1, "NG102", "`a.toml` is empty")]),
    "no TOML": (
        {"a.toml": LIBRARY + '[module.lent]\ny = "x\n'},
        [("a.toml", 4, "NG002", "this string is not closed")],
    ),
    "no equation": (
        {"a.toml": LIBRARY + '[module.lent]\ny = "linear(x, width"\n'},
        [("a.toml", 4, "NG011", "this bracket is not closed")],
    ),
    "names and shapes": (
        {
            "a.toml": LIBRARY
            + '[module.lent]\nb = "linear(x, widht)"\nc = "split(x, 5)"\ny = "b + flatten(c)"\n'
        },
        [
            ("a.toml", 4, "NG201", "`widht` is given neither by `a.toml` nor by `spec.toml`"),
            ("a.toml", 5, "NG301", "6 channels do not split into 5 equal parts"),
        ],
    ),
    "a dim that none gives": (
        {"a.toml": LIBRARY + '[module.lent]\ny = "linear(x, rank)"\n'},
        [("a.toml", 4, "NG201", "`rank` is given neither by `a.toml` nor by `spec.toml`")],
    ),
    "a dim without a value": (
        {"a.toml": LIBRARY + '[dims]\nrank = "width / 0"\n[module.lent]\ny = "linear(x, rank)"\n'},
        [("a.toml", 4, "NG302", "6 / 0 divides by zero")],
    ),
    "defaults": (
        {
            "a.toml": LIBRARY
            + "[defaults]\nlinear = { bais = true }\nlineaer = {}\n"
            + PLAIN.split("\n", 2)[2]
        },
        [
            ("a.toml", 4, "NG113", "`linear` has no setting `bais`"),
            ("a.toml", 5, "NG202", "no primitive is called `lineaer`"),
        ],
    ),
    "a table of the model's name": (
        {"a.toml": PLAIN + '[module.embed]\ny = "linear(x, width)"\n[module.width]\ny = "x"\n'},
        [("a.toml", 7, "NG107", "`width` is a module and a dim")],
    ),
    "a run": (
        {"a.toml": 'kind = "run"\nmodel = "x"\n'},
        [("a.toml", 1, "NG101", 'the kind of a file that is used is "library" or "model", found "run"')],
    ),
    "without its kind": (
        {"a.toml": 'language = 1\n[module.lent]\ny = "x"\n'},
        [("a.toml", 1, "NG102", "the file does not say its kind")],
    ),
    "too new": (
        {"a.toml": LIBRARY.replace("1", "9") + '[module.lent]\ny = "x"\n'},
        [("a.toml", 2, "NG105", "language 9 is newer than 1, which this compiler reads")],
    ),
    "a library with a model": (
        {"a.toml": PLAIN + '[model]\nx = "3"\n'},
        [("a.toml", 5, "NG103", "a library has no `model`")],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_stand_in_their_file(name: str):
    used, wanted = FAULTS[name]
    assert faults(used) == wanted


def test_two_tables_of_one_name():
    (fault,) = faults({"a.toml": PLAIN}, USER + '[module.lent]\ny = "silu(x)"\n')
    assert fault == ("a.toml", 3, "NG107", "two tables are called `lent`")
    both = USER.replace('["a.toml"]', '["a.toml", "b.toml"]')
    (fault,) = faults({"a.toml": PLAIN, "b.toml": PLAIN}, both)
    assert fault[2:] == ("NG107", "two tables are called `lent`")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ('"a.toml"', '`use` is a list of files, found "a.toml"'),
        ("[3]", "a file is named by text that ends in `.toml`, found the number 3"),
        ('["/etc/passwd"]', 'a file is named by text that ends in `.toml`, found "/etc/passwd"'),
    ],
)
def test_use_is_a_list_of_files(use: str, message: str):
    (fault,) = faults({"a.toml": PLAIN}, USER.replace('["a.toml"]', use))
    assert fault[2:] == ("NG101", message)


def test_a_library_is_no_spec():
    (fault,) = faults({}, PLAIN)
    assert fault[2] == "NG101"


def test_paths_go_from_the_file_that_uses(tmp_path: Path):
    (tmp_path / "model.toml").write_text(USER.replace("a.toml", "parts/a.toml"))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.toml").write_text(LENT)
    assert shapes(compile_file(tmp_path / "model.toml"))["a.y.bias"] == [6]


def test_a_file_in_a_folder_uses_what_ships(tmp_path: Path):
    (tmp_path / "model.toml").write_text(USER.replace("a.toml", "parts/a.toml"))
    (tmp_path / "parts").mkdir()
    uses = LIBRARY + 'use = ["std/swiglu.toml"]\n[module.lent]\ny = "swiglu(x)"\n'
    (tmp_path / "parts" / "a.toml").write_text(uses)
    assert set(compile_file(tmp_path / "model.toml").used) == {"parts/a.toml", "std/swiglu.toml"}


def test_two_files_give_a_dim_one_size():
    other = LIBRARY + '[dims]\nrank = 4\n[module.more]\ny = "linear(x, rank)"\n'
    both = USER.replace('["a.toml"]', '["a.toml", "b.toml"]')
    said = [("a.toml", 6, "NG107", "two files give `rank` other sizes")]
    assert faults({"a.toml": LENT, "b.toml": other}, both) == said
    assert compiled({"a.toml": LENT, "b.toml": other.replace("4", "3")}, both)
    own = both.replace("width = 6", "width = 6\nrank = 5")
    assert shapes(compiled({"a.toml": LENT, "b.toml": other}, own))["a.down.weight"] == [5, 6]
