"""A code owns a title, an explanation, a bad file that shows it, a drawing, and a place where it is made."""

import re
from pathlib import Path

import pytest

from nanogen.text.codes import BLOCKS, CODES

ROOT = Path(__file__).parents[3]
BAD = sorted((Path(__file__).parents[1] / "bad").glob("*.toml"))
SOURCES = {
    p: p.read_text() for folder in ("nanogen", "stages") for p in sorted((ROOT / folder).rglob("*.py"))
}
DRAWINGS = Path(__file__).parents[1] / "golden" / "drawings"


def used() -> dict[str, list[str]]:
    """Codes in the source, and the files that make them."""
    found: dict[str, list[str]] = {}
    for path, text in SOURCES.items():
        if path.name != "codes.py":
            for code in re.findall(r'"(NG\d+)"', text):
                found.setdefault(code, []).append(path.name)
    return found


@pytest.mark.parametrize("code", CODES)
def test_a_code_explains_itself(code):
    assert re.fullmatch(r"NG\d{3}", code)
    title, explanation = CODES[code].title, CODES[code].explanation
    assert title
    assert title[0].islower() or title.startswith("TOML")
    assert not title.endswith(".")
    assert explanation.endswith(".")
    assert CODES[code].severity in ("error", "warning")


def test_titles_are_told_apart():
    titles = [code.title for code in CODES.values()]
    assert len(set(titles)) == len(titles)


def test_every_code_is_in_a_block_and_they_are_in_order():
    assert list(CODES) == sorted(CODES)
    assert {code[:3] for code in CODES} == set(BLOCKS)


@pytest.mark.parametrize("code", CODES)
def test_a_bad_file_shows_the_code(code):
    named = [p for p in BAD if p.stem.startswith(code)]
    assert named, f"tests/nanogen/bad/{code}-....toml is missing"
    assert any(f"# {code}" in p.read_text() for p in named)


@pytest.mark.parametrize("code", CODES)
def test_a_drawing_shows_the_code(code):
    drawn = [p for p in DRAWINGS.glob(f"{code}-*.txt") if f"[{code}]: " in p.read_text()]
    assert drawn, f"tests/nanogen/golden/drawings/{code}-....txt is missing"


def test_every_code_is_made_somewhere():
    assert sorted(set(CODES) - set(used())) == []


def test_no_unknown_code_is_made():
    assert sorted(set(used()) - set(CODES)) == []


def test_a_bad_spec_is_named_by_what_it_shows():
    for path in BAD:
        assert path.stem[:5] in CODES
        assert set(re.findall(r"# (NG\d+)", path.read_text())) == {path.stem[:5]}, path.name
