"""Import tables as they are read: patterns, names and cuts; the bad specs show what is refused."""

import pytest

from nanogen.language.imports import Each, ImportTable, read_imports
from nanogen.language.tables import Equation
from nanogen.text.diagnostics import Place
from nanogen.text.document import parse_document


def read(lines: str) -> tuple[ImportTable, list]:
    document, faults = parse_document("small.toml", f"[import.theirs]\n{lines}")
    assert not faults
    tables, found = read_imports(document.data["import"], "import", {"width", "experts"}, {"mlp", "moe"})
    return tables["theirs"], found


def test_a_table_is_prose_names_to_ignore_and_lines():
    table, found = read(
        'about = "somebody\'s"\nignore = ["*.bias"]\n"a.{i}.b" = "h.{i}"\nc = ["x", "y.T"]\nembed = "wte"'
    )
    assert found == []
    assert (table.about, table.ignore) == ("somebody's", ("*.bias",))
    assert [line.pattern for line in table.lines] == [("a", "{i}", "b"), ("c",), ("embed",)]
    assert [s.text for s in table.lines[1].sources] == ["x", "y.T"]
    assert table.lines[1].sources[1].place == Place(("import", "theirs", "c", 1))


def test_a_name_is_text_and_numbers():
    source = read('"a.{i}" = "h.{i + 1}.e.{e < experts}.weight"')[0].lines[0].sources[0]
    first, number, middle, each, last = source.name
    assert (first, middle, last) == ("h.", ".e.", ".weight")
    assert isinstance(number, Equation)
    assert number.place(number.expression).span == (3, 8)  # of the whole text, so that a caret finds it
    assert isinstance(each, Each)
    assert each.name == "e"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("w", []),
        ("w.T", ["T"]),
        ("w[{i}]", [[True]]),
        ("w[i, :width]", [[True, False]]),
        ("w[i].T[width:2 * width]", [[True], "T", [False]]),
        ("w.T.T", ["T", "T"]),
    ],
)
def test_what_is_cut(text, steps):
    source = read(f'"a.{{i}}" = "{text}"')[0].lines[0].sources[0]
    assert "".join(map(str, source.name)) == "w"
    assert [s if isinstance(s, str) else [c.single for c in s] for s in source.steps] == steps


def test_a_line_for_each_module():
    table, found = read('"a.{i}" = { mlp = "x.{i}", moe = ["y.{i}", "z.{i}"] }')
    assert found == []
    one, two = table.lines
    assert (one.module, two.module) == ("mlp", "moe")
    assert one.match(("a", "3"), ("trunk", "mlp")) == {"i": 3}
    assert one.match(("a", "3"), ("trunk", "moe")) is None


def test_a_path_gives_placeholders_their_numbers():
    line = read('"a.{i}.b.{j}.c" = "h"')[0].lines[0]
    assert line.match(("a", "2", "b", "0", "c"), ()) == {"i": 2, "j": 0}
    for other in (("a", "2", "b", "x", "c"), ("a", "2", "b"), ("a", "2", "b", "0", "d")):
        assert line.match(other, ()) is None


def test_the_dims_that_are_read_are_known():
    assert read('"a.{i}" = "h.{i}[:width]"')[0].reads == {"width"}


def test_all_that_is_wrong_with_a_line_is_told_at_once():
    found = read('"a.{i}" = "h.{j}[:widht, 0:exprets]"')[1]
    assert [(d.code, d.help) for d in found] == [
        ("NG201", "known here: `experts`, `i`, `width`"),
        ("NG201", "did you mean `width`?"),
        ("NG201", "did you mean `experts`?"),
    ]
