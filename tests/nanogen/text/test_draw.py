"""How diagnostics look, letter by letter, and the same fields as JSON lines."""

import json
from textwrap import dedent

import pytest

from nanogen.text.diagnostics import Diagnostic, Note, Place
from nanogen.text.document import parse_document
from nanogen.text.draw import SHOWN, WIDEST, as_json, draw, find, ordered

TEXT = """\
kind = "model"

[dims]
width = 768
heads = 10

[module.attention]
q = "split(linear(x, width), heads)"
long = '''
rms_norm(
    q
)'''
"""


def drawn(*found: Diagnostic, text: str = TEXT) -> str:
    return draw(parse_document("specs/a.toml", text)[0], found)


def golden(text: str) -> str:
    return dedent(text).strip("\n")


CASES = {
    "a part of an equation, with notes": (
        Diagnostic(
            "NG301",
            "768 channels do not split into 10 equal parts",
            Place(("module", "attention", "q"), (24, 29)),
            help="use 12, 8 or 6",
            notes=(
                Note(Place(("dims", "heads")), "`heads` is 10"),
                Note(Place(("dims", "width")), "`width` is 768"),
            ),
        ),
        """
        error[NG301]: 768 channels do not split into 10 equal parts
         --> specs/a.toml:8:30
          |
        8 | q = "split(linear(x, width), heads)"
          |                              ^^^^^
          |
        5 | heads = 10
          |         -- `heads` is 10
          |
        4 | width = 768
          |         --- `width` is 768
         = help: use 12, 8 or 6
        """,
    ),
    "a key, with a label": (
        Diagnostic("NG103", "`heads` is no key", Place(("dims", "heads"), on_key=True), label="here"),
        """
        error[NG103]: `heads` is no key
         --> specs/a.toml:5:1
          |
        5 | heads = 10
          | ^^^^^ here
        """,
    ),
    "a missing key, at its table": (
        Diagnostic("NG102", "the dim `vocab` is missing", Place(("dims", "vocab")), help="add it"),
        """
        error[NG102]: the dim `vocab` is missing
         --> specs/a.toml:3:1
          |
        3 | [dims]
          | ^^^^^^
         = help: add it
        """,
    ),
    "a part of text over lines": (
        Diagnostic("NG201", "nothing is called `q` here", Place(("module", "attention", "long"), (14, 15))),
        """
        error[NG201]: nothing is called `q` here
          --> specs/a.toml:11:5
           |
        11 |     q
           |     ^
        """,
    ),
    "the first line of text over lines": (
        Diagnostic("NG205", "two owners", Place(("module", "attention", "long"), (0, 17))),
        """
        error[NG205]: two owners
          --> specs/a.toml:10:1
           |
        10 | rms_norm(
           | ^^^^^^^^^
        """,
    ),
    "a warning, for a file without a place": (
        Diagnostic("NG402", "nothing reads it", Place()),
        """
        warning[NG402]: nothing reads it
         --> specs/a.toml:1:1
          |
        1 | kind = "model"
          | ^
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_drawings(name):
    diagnostic, expected = CASES[name]
    assert drawn(diagnostic) == golden(expected)


def test_a_file_that_was_not_read_has_no_excerpt():
    found = Diagnostic("NG001", "there is no file `a.toml`", Place(), help="name a file")
    assert drawn(found, text="") == "error[NG001]: there is no file `a.toml`\n = help: name a file"


def test_tabs_and_wide_letters_keep_the_caret_below():
    text = "k = \"日本 + x\"\n\tm = 'x'\n"
    one = Diagnostic("NG201", "unknown", Place(("k",), (5, 6)))
    two = Diagnostic("NG201", "unknown", Place(("m",), (0, 1)))
    rows = drawn(one, two, text=text).split("\n")
    assert rows[4] == "  |      " + " " * 7 + "^"  # two columns a kanji
    assert rows[10] == "  | \t     ^"


def test_long_lines_are_clipped_around_the_mark():
    text = f'k = "{"x" * 1000}"\n'
    rows = drawn(Diagnostic("NG011", "long", Place(("k",), (500, 503))), text=text).split("\n")
    assert rows[3].startswith("1 | ..x")
    assert rows[3].endswith("x..")
    assert len(rows[3]) <= WIDEST + 10
    assert rows[4].endswith(" ^^^")
    assert len(rows[4]) < len(rows[3])


def test_faults_come_in_the_order_of_the_file_and_the_rest_is_a_count():
    found = [Diagnostic("NG201", f"fault {k}", Place(("dims", "heads"))) for k in range(SHOWN + 7)]
    first = Diagnostic("NG201", "first", Place(("kind",)))
    text = drawn(*found, first)
    assert text.startswith("error[NG201]: first\n")
    assert text.endswith("... and 8 more")
    document = parse_document("a", TEXT)[0]
    assert ordered(document, [*found, first])[0] is first


def test_json_has_a_line_a_fault_and_the_same_fields():
    diagnostic, _ = CASES["a part of an equation, with notes"]
    document = parse_document("specs/a.toml", TEXT)[0]
    lines = as_json(document, [diagnostic, CASES["a key, with a label"][0]]).split("\n")
    assert len(lines) == 2
    assert json.loads(lines[1]) == {
        "code": "NG301",
        "severity": "error",
        "message": "768 channels do not split into 10 equal parts",
        "file": "specs/a.toml",
        "line": 8,
        "column": 30,
        "end_column": 35,
        "path": ["module", "attention", "q"],
        "label": "",
        "help": "use 12, 8 or 6",
        "notes": [
            {"file": "specs/a.toml", "line": 5, "column": 9, "end_column": 11, "label": "`heads` is 10"},
            {"file": "specs/a.toml", "line": 4, "column": 9, "end_column": 12, "label": "`width` is 768"},
        ],
    }


def test_a_fault_of_the_text_points_at_its_character():
    document, found = parse_document("a.toml", 'a = 1\nq = "linear(x\n')
    spot = find(document, found[0].place)
    assert (spot.line, spot.column, spot.end_column, spot.text) == (2, 5, 14, 'q = "linear(x')
