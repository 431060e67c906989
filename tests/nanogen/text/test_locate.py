"""The located text of every value parses back to that value; the located text of every key is that key."""

import datetime
import string
from pathlib import Path

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from nanogen.text.locate import inside, locate

SPECS = sorted((Path(__file__).parents[3] / "specs").rglob("*.toml")) + sorted(
    (Path(__file__).parents[1] / "good").glob("*")
)

TRICKY = """\
# a comment with = and "quotes"
title = "a # no comment" # a comment
'quoted key' = 'C:\\\\path'
"tab\\tkey".inner = 1
empty = ""
date = 1979-05-27 07:32:00Z
text = '''
it's, "so" '''
long = \"\"\"
one \\
    two \\" three\"\"\"\"
list = [ [1, 2], # inner
  ["a]", 'b}'], {x = 1, y = [2]}, ]
a.b.c = { d.e = 1, "f.g" = true }

[table]
key = -1e3
[table.inner]
key = inf
[[many]]
n = 1
[many.sub]
k = 'v'
[[many]]
n = 2
[[many.deep]]
q = [{r = 1}, {r = 2}]
"""


def leaves(value, path=()):
    """Every value that holds no other, with its key path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def check(text: str) -> None:
    data, found = tomli.loads(text), locate(text)
    for path, value in leaves(data):
        if path not in found.values:  # a table of its own, empty
            assert value in ({}, []), path
            continue
        start, end = found.values[path]
        if value == {} and text[start] == "[":  # the header of an empty table
            continue
        assert tomli.loads(f"v = {text[start:end]}")["v"] == value, path
    for path, (start, end) in found.keys.items():
        if isinstance(path[-1], str):
            assert list(tomli.loads(f"{text[start:end]} = 1")) == [path[-1]], path


# -- a small writer: each value in one of the ways that TOML has for it

BARE = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
KEYS = st.one_of(BARE, st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=5))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
SCALARS = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(allow_nan=False, width=32),
    TEXTS,
    st.dates(datetime.date(1900, 1, 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
TABLES = st.dictionaries(KEYS, st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=4)


def quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


def written(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        literal = value.isprintable() and "'" not in value and len(value) % 2
        return f"'{value}'" if literal else quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + (" ,\n # end\n]" if len(value) > 1 else "]")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key(k)} = {written(v)}" for k, v in value.items()) + " }"
    return str(value)


def key(name: str) -> str:
    return name if name and set(name) <= set(string.ascii_letters + string.digits + "_-") else quoted(name)


def document(tables: dict) -> str:
    flat = {k: v for k, v in tables.items() if not isinstance(v, dict)}
    lines = [f"{key(k)}={written(v)} # {len(str(v))}" for k, v in flat.items()]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[ {key(name)} ]", *(f"  {key(k)} = {written(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


@settings(max_examples=150, deadline=None)
@given(TABLES)
def test_located_text_parses_back(tables):
    text = document(tables)
    assert tomli.loads(text) == tables
    check(text)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(["basic", "long"]))
def test_characters_of_a_string_are_found(value, form):
    raw = quoted(value)
    text = f"k = {raw}\n" if form == "basic" else f'k = """\n{raw[1:-1]}"""\n'
    assert tomli.loads(text)["k"] == value
    span = locate(text).values[("k",)]
    for place, char in enumerate(value):
        start, end = inside(text, span, (place, place + 1))
        assert tomli.loads(f'v = """{text[start:end]}"""')["v"] == char or text[start:end] == char == '"'


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_are_located(path):
    check(path.read_text())


def test_tricky_text_is_located():
    check(TRICKY)
    found = locate(TRICKY)
    start, end = found.values[("many", 1, "deep", 0, "q", 1, "r")]
    assert TRICKY[start:end] == "2"
    start, end = found.values[("table", "inner")]
    assert TRICKY[start:end] == "[table.inner]"


def test_a_backslash_at_the_end_of_a_line_stands_for_nothing():
    text = 'k = """one \\\n    two"""'
    assert tomli.loads(text)["k"] == "one two"
    start, end = inside(text, locate(text).values[("k",)], (4, 7))
    assert text[start:end] == "two"


def test_a_span_beyond_the_string_stays_in_it():
    text = 'k = "ab"'
    assert inside(text, (4, 8), (5, 9)) == (7, 8)
