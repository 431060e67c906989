"""Values replaced in TOML text: the value alone changes, and what is read back is what was given."""

import pytest
import tomli

from nanogen.planning.rewrite import with_values
from nanogen.text.document import parse_document

TEXT = """\
# a spec
[dims]
width  = "64 * depth"   # of the stream
depth  = 20
lists  = [
  1,
  2,
] # both
"heads of" = '''x'''
inline = { a = 1, b = "y" }   # pair
last = 3#tight
"""


def rewritten(values: dict) -> str:
    document, faults = parse_document("spec.toml", TEXT)
    assert not faults
    return with_values(document, values)


def test_a_comment_keeps_its_text_and_its_column():
    assert "width  = 1280           # of the stream\n" in rewritten({("dims", "width"): 1280})
    assert 'width  = "64 * depth + 123456789" # of' in rewritten(
        {("dims", "width"): "64 * depth + 123456789"}
    )
    assert "last = 5#tight" in rewritten({("dims", "last"): 5})


@pytest.mark.parametrize(
    "value",
    [7, 0.5, 1e-7, True, False, "ceil(x)", 'a "quoted" \\ text', "ünïcode\n", [1, 2], ["a", [0.5, True]]],
)
@pytest.mark.parametrize(
    "path",
    [("dims", "width"), ("dims", "lists"), ("dims", "heads of"), ("dims", "inline", "a"), ("dims", "last")],
)
def test_what_is_written_is_read_back(path: tuple, value):
    before, after = tomli.loads(TEXT), tomli.loads(rewritten({path: value}))
    inner, key = before, path[-1]
    for part in path[:-1]:
        inner = inner[part]
    inner[key] = value
    assert after == before


def test_several_at_once():
    found = tomli.loads(rewritten({("dims", "last"): 1, ("dims", "width"): 2, ("dims", "inline", "b"): 3}))
    assert (found["dims"]["last"], found["dims"]["width"], found["dims"]["inline"]) == (
        1,
        2,
        {"a": 1, "b": 3},
    )


def test_nothing_else_changes():
    assert rewritten({}) == TEXT
    lines, old = rewritten({("dims", "depth"): 12}).splitlines(), TEXT.splitlines()
    assert [n for n, (a, b) in enumerate(zip(lines, old, strict=True)) if a != b] == [3]
