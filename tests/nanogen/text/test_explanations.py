"""Every explanation teaches: its wrong example shows the code and nothing else, its right example nothing."""

import re

import pytest

from nanogen.compiler import compile_text
from nanogen.language.spec import read_override
from nanogen.text.codes import CODES
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import draw
from nanogen.text.explanations import FILE, code_meant, explanation_of, nearest_code
from stages.runfile.load import load_run
from tests.nanogen.machine import held
from tests.nanogen.published import misfits

REST = {  # of a spec, where an example does not say otherwise
    "": {"kind": '"model"', "language": "1"},
    "[dims]": {"vocab": "32", "context": "8", "width": "8"},
    "[model]": {"embed": '"embedding(tokens, vocab, width)"', "logits": '"linear(embed, vocab)"'},
}


def whole(example: str) -> str:
    """An example with what a spec needs besides; `logits` read `out` where there is one."""
    parts = re.split(r"(?m)^(\[[\w.]+\])\n?", example)
    given = {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))
    sections = []
    for header in {**REST, **given}:
        body = given.get(header, "").strip("\n")
        keys = set(re.findall(r"(?m)^(\w+) *=", body))
        rest = dict(REST.get(header, {}))
        if "out" in keys:
            rest["logits"] = '"linear(out, vocab)"'
        lines = [f"{key} = {value}" for key, value in rest.items() if key not in keys]
        sections.append("\n".join([header, *lines, body]))
    return "\n".join(sections) + "\n"


def told(example: str, tmp_path) -> tuple[list[str], str]:
    """The codes found in an example, and their drawing."""
    given = re.search(r"(?m)^# nanogen check .*--set (\S+)$", example)
    try:
        if example.startswith("kind"):
            path = tmp_path / "run.toml"
            path.write_text(example)
            run = load_run(path)
            found, document = [*run.warnings, *held(run)], run.document
        else:
            done = compile_text(whole(example), dict([read_override(given[1])]) if given else {})
            found, document = [*done.warnings, *misfits(done, example)], done.document
    except Refusal as refusal:
        found, document = refusal.diagnostics, refusal.document
    return [d.code for d in found], draw(document, found)


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_example_shows_the_code_and_the_right_one_nothing(code, tmp_path):
    explanation = explanation_of(code)
    found, drawn = told(explanation.wrong, tmp_path)
    assert set(found) == {code}, drawn or "nothing was found"
    found, drawn = told(explanation.right, tmp_path)
    assert not found, drawn


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_is_a_short_paragraph_behind_the_first_sentence(code):
    text = explanation_of(code).text
    assert text.startswith(CODES[code].explanation)
    assert text.endswith(".")
    assert 2 <= len(re.findall(r"[.?](?= |$)", text)) <= 9
    assert len(text) < 800
    assert not re.search(r"\b(invalid|illegal|please|failed to|NoneType|simply|just)\b", text)
    assert max(map(len, explanation_of(code).wrong.split("\n"))) <= 76


def test_no_explanation_is_left_over():
    written = re.findall(r"(?m)^\[(NG\d+)\]$", FILE.read_text())
    assert written == list(CODES)


def test_an_example_that_shows_nothing_is_noticed(tmp_path):
    assert told('[model]\nout = "relu(embed)"', tmp_path) == ([], "")
    assert told('[model]\nout = "relu(embd)"', tmp_path)[0] == ["NG201"]


@pytest.mark.parametrize(
    ("written", "code"),
    [("NG203", "NG203"), ("ng203", "NG203"), (" 203 ", "NG203"), ("x", "X"), ("٢٠٣", "٢٠٣")],
)
def test_a_code_is_read_as_people_write_it(written, code):
    assert code_meant(written) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [("NG204x", "NG204"), ("NG999", "NG706"), ("", "NG001"), ("NG318", "NG316"), ("9" * 5000, "NG706")],
)
def test_the_nearest_code(written, code):
    assert nearest_code(written) == code
