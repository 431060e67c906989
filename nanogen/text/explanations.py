"""What each code teaches: why it is a fault, a wrong example and a right one.

They stand in explanations.toml, which is read when somebody asks.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from attrs import frozen

from nanogen.text.codes import CODES

FILE = Path(__file__).with_name("explanations.toml")


@frozen
class Explanation:
    """`text` is one paragraph; the examples are parts of a spec, or whole runs."""

    text: str
    wrong: str
    right: str


def explanation_of(code: str) -> Explanation:
    """Return what a code teaches; the code is one of CODES."""
    entry = _entries()[code]
    text = " ".join(f"{CODES[code].explanation} {entry['why']}".split())
    return Explanation(text, entry["wrong"].strip("\n"), entry["right"].strip("\n"))


def code_meant(written: str) -> str:
    """A code as people write it: in lower case, or without its letters."""
    written = written.strip().upper()
    return f"NG{written}" if re.fullmatch(r"\d{3}", written, re.ASCII) else written


def nearest_code(written: str) -> str:
    """The known code whose number is the nearest; without a number, the first."""
    digits = re.sub(r"[^0-9]", "", written)[:9]
    return min(CODES, key=lambda code: abs(int(code[2:]) - int(digits or 0)))


@cache
def _entries() -> dict[str, dict[str, str]]:
    import tomli

    return tomli.loads(FILE.read_text(encoding="utf-8"))
