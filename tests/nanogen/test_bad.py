"""Every bad spec says on the faulty line what is found there; no more is found, and nowhere else.

A first line `# --set NAME=VALUE` is given to the compiler as it would be on the command line.
"""

import re
from pathlib import Path

import pytest

from nanogen.compiler import compile_text
from nanogen.diagnostics import Refusal
from nanogen.draw import draw, find
from nanogen.spec import read_override

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))


def compiled(text: str):
    """Diagnostics of a text, and its document."""
    given = re.match(r"# --set (.*)", text)
    try:
        done = compile_text(text, dict([read_override(given[1])]) if given else {})
        return done.document, list(done.warnings)
    except Refusal as refusal:
        return refusal.document, refusal.diagnostics


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_stand_where_the_file_says(path):
    text = path.read_text()
    expected = [
        (row, code) for row, line in enumerate(text.split("\n"), 1) for code in re.findall(r"# (NG\d+)", line)
    ]
    document, found = compiled(text)
    assert sorted((find(document, d.place).line, d.code) for d in found) == expected, draw(document, found)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_read_well(path):
    """Lower case, no full stop, no class names, the help apart; style.md part (e)."""
    for d in compiled(path.read_text())[1]:
        assert d.help, d.message
        assert not d.message.endswith("."), d.message
        assert not d.message[0].isupper() or re.match(r"B T|NG|UTF", d.message), d.message
        words = re.sub(r"`[^`]*`", "", d.message)
        assert not re.search(r"NoneType|<class|\bint\b|\bdict\b|invalid|illegal|please|failed", words), (
            d.message
        )
        assert not re.search(r"\b(use|write|remove|did you mean)\b", words), f"help stands in {d.message}"
        assert "\n" not in d.message + d.help
