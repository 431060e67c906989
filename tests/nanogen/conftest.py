"""What tests of the front end share: a small spec to put equations in, and its faults as short text."""

import pytest

from nanogen.compiler import compile_text
from nanogen.text.diagnostics import Refusal
from nanogen.text.draw import find, ordered

SMALL = """\
kind = "model"
language = 1
[dims]
depth = 2
width = 8
vocab = 32
context = 16
{dims}
{tables}
[model]
embed = "embedding(tokens, vocab, width)"
{model}
logits = "linear({last}, vocab)"
"""


@pytest.fixture
def small():
    """A function that writes a small spec around the parts given; `last` is what the logits are read from."""

    def write(*, dims: str = "", tables: str = "", model: str = "", last: str = "embed") -> str:
        return SMALL.format(dims=dims, tables=tables, model=model, last=last)

    return write


@pytest.fixture
def faults():
    """A function from text (and `--set`) to its faults: code, the line's key, and message."""

    def found(text: str, given: dict | None = None) -> list[tuple[str, str, str]]:
        try:
            done = compile_text(text, given)
            document, diagnostics = done.document, done.warnings
        except Refusal as refusal:
            document, diagnostics = refusal.document, refusal.diagnostics
        rows = []
        for d in ordered(document, diagnostics):
            line = find(document, d.place).text
            rows.append((d.code, line.split("=")[0].strip(), d.message))
        return rows

    return found
