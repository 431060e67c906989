"""TOML text and its values, with the syntax errors as diagnostics. Knows nothing of what the keys mean."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli
from attrs import field, frozen

from nanogen.diagnostics import Diagnostic, Place
from nanogen.locate import Locator, locate

MAX_CHARACTERS = 1_000_000  # a spec is read by people; more than this is not one


@frozen(slots=False)
class Document:
    """A TOML file that was read: `name` is how the user called it, `data` its values."""

    name: str
    text: str
    data: dict[str, Any] = field(repr=False)

    @cached_property
    def locator(self) -> Locator:
        return locate(self.text)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_document(path: Path, name: str | None = None) -> tuple[Document, list[Diagnostic]]:
    """Read a TOML file. A file that cannot be read or parsed gives an empty document and one diagnostic."""
    name = name or str(path)
    try:
        size = path.stat().st_size
        if size > MAX_CHARACTERS:
            raise OSError(f"{size:,} bytes, more than the {MAX_CHARACTERS:,} of the longest spec")
        text = path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        return Document(name, "", {}), [_unreadable(name, error)]
    return parse_document(name, text)


def parse_document(name: str, text: str) -> tuple[Document, list[Diagnostic]]:
    """Parse TOML text; `name` stands for the file in what is printed."""
    text = text.replace("\r\n", "\n")
    try:
        return Document(name, text, tomli.loads(text)), []
    except tomli.TOMLDecodeError as error:
        return Document(name, text, {}), [_syntax(text, error)]
    except RecursionError:
        fault = Diagnostic("NG003", "values are nested too deeply", Place(offset=0))
        return Document(name, text, {}), [fault]


def _unreadable(name: str, error: Exception) -> Diagnostic:
    if isinstance(error, FileNotFoundError):
        message, help = f"there is no file `{name}`", "name a TOML file, or a spec that ships with nanogen"
    elif isinstance(error, UnicodeDecodeError):
        message, help = f"`{name}` is not UTF-8 text", "save the file as UTF-8"
    else:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        message, help = f"`{name}` cannot be read: {reason}", ""
    return Diagnostic("NG001", message, Place(), help=help)


def _syntax(text: str, error: tomli.TOMLDecodeError) -> Diagnostic:
    """Say what is wrong in the words of the file, not of the parser."""
    at = min(error.pos, len(text))
    line_start = text.rfind("\n", 0, at) + 1
    line = text[line_start:].split("\n", 1)[0]
    unclosed = _unclosed_quote(line)
    if unclosed is not None and "multiline" not in error.msg:
        place = Place(offset=line_start + unclosed)
        return Diagnostic("NG002", "this string is not closed", place, help="close it with `\"` on the same line")
    message = error.msg[:1].lower() + error.msg[1:].rstrip(".")
    help = "a value is a number, true or false, a list, a table, or text in quotes"
    if "overwrite" in message or "declare" in message or "duplicate" in message.lower():
        message, help = "this key is given twice", "keep one of the two"
        return Diagnostic("NG004", message, Place(offset=_line_content(text, at)), help=help)
    return Diagnostic("NG003", message, Place(offset=at), help=help)


def _line_content(text: str, at: int) -> int:
    """The first character of the line that `at` ends: tomli blames a duplicate after it has read it."""
    start = text.rfind("\n", 0, at) + 1
    if not text[start:at].strip() and start > 0:
        start = text.rfind("\n", 0, start - 1) + 1
    return start + len(text[start:]) - len(text[start:].lstrip(" \t"))


def _unclosed_quote(line: str) -> int | None:
    """Return the column of the quote that opens a string the line does not close."""
    open_at, quote, escaped = None, "", False
    for column, char in enumerate(line):
        if open_at is None:
            if char == "#":
                return None
            if char in "\"'":
                open_at, quote = column, char
        elif escaped:
            escaped = False
        elif char == "\\" and quote == '"':
            escaped = True
        elif char == quote:
            open_at = None
    return open_at
