"""Every bad file says on the faulty line what is found there; no more is found, and nowhere else.

A first line `# --set NAME=VALUE` is given to the compiler as it would be on the command line. Lines such as
`# the file has wte.weight: 32 x 8, F32` are a file of weights, to which the spec is held. How the faults are drawn stands in golden/drawings; `UPDATE=1 pytest tests/nanogen/test_bad.py` writes that again.
"""

import os
import re
from pathlib import Path

import pytest

from nanogen.compiler import compile_file
from nanogen.language.spec import read_override
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import draw, find
from stages.runfile.load import load_run
from tests.nanogen.machine import held
from tests.nanogen.published import misfits

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.toml"))
DRAWINGS = HERE / "golden" / "drawings"


def found_in(path: Path):
    """Diagnostics of a file, a spec or a run, and its document."""
    text = path.read_text()
    given = re.match(r"# --set (.*)", text)
    try:
        if re.match(r'kind *= "run"', text):
            run = load_run(path, name=path.name)
            return run.document, [*run.warnings, *held(run)]
        overrides = dict([read_override(given[1])]) if given else {}
        done = compile_file(path, overrides, name=path.name)
        return done.document, [*done.warnings, *misfits(done, text)]
    except Refusal as refusal:
        return refusal.document, refusal.diagnostics


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_stand_where_the_file_says(path):
    lines = path.read_text().split("\n")
    expected = [(row, code) for row, line in enumerate(lines, 1) for code in re.findall(r"# (NG\d+)", line)]
    document, found = found_in(path)
    assert sorted((find(document, d.place).line, d.code) for d in found) == expected, draw(document, found)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_drawings_are_as_they_were(path):
    drawn, golden = draw(*found_in(path)) + "\n", DRAWINGS / f"{path.stem}.txt"
    if os.environ.get("UPDATE"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(drawn)
    assert golden.is_file(), "run `UPDATE=1 pytest tests/nanogen/test_bad.py` to write it"
    assert golden.read_text() == drawn


def test_every_drawing_has_its_file():
    assert sorted(p.stem for p in DRAWINGS.glob("*")) == sorted(p.stem for p in BAD)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_read_well(path):
    """Lower case, no full stop, no class names, the help apart; style.md part (e)."""
    for d in found_in(path)[1]:
        assert d.help, d.message
        assert not d.message.endswith("."), d.message
        assert not d.help.endswith(".") or d.help.endswith(".."), d.help
        assert not d.message[0].isupper() or re.match(r"B T|NG|UTF", d.message), d.message
        words = re.sub(r"`[^`]*`", "", d.message)
        assert not re.search(r"NoneType|<class|\bint\b|\bdict\b|invalid|illegal|please|failed", words), (
            d.message
        )
        assert not re.search(r"\b(use|write|remove|did you mean)\b", words), f"help stands in {d.message}"
        assert "\n" not in d.message + d.help
