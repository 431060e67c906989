"""TOML text and its values, with the syntax errors as diagnostics. Knows nothing of what the keys mean."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli
from attrs import evolve, field, frozen

from nanogen.text.diagnostics import Diagnostic, Place
from nanogen.text.locate import Locator, locate

MAX_CHARACTERS = 250_000  # a spec is read by people; more than this is not one
MAX_DEPTH = 40  # of tables and lists in one another

# a key, and a value that begins as a word does, or goes on after a number: an equation without its quotes
_BARE = re.compile(
    r"\s*([\w.-]+)\s*=\s*((?!(?:true|false|inf|nan)\s*(?:#|$))(?:[^\W\d]|[\d.]+\s*[-+*/%(]|\()[^#\n]*)"
)


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


class Origin(str):
    """The first key of a path that leads into a file which the document uses: the file's name, and the file."""

    document: Document

    def __new__(cls, document: Document) -> Origin:
        made = super().__new__(cls, document.name)
        made.document = document
        return made


def resolved(document: Document, place: Place) -> tuple[Document, Place]:
    """The document that a place is in, and the place there."""
    if place.path and isinstance(origin := place.path[0], Origin):
        return origin.document, evolve(place, path=place.path[1:])
    return document, place


def read_document(path: Path, name: str | None = None) -> tuple[Document, list[Diagnostic]]:
    """Read a TOML file. A file that cannot be read or parsed gives an empty document and one diagnostic."""
    name = name or str(path)
    try:
        size = path.stat().st_size
        if size > MAX_CHARACTERS:
            raise _too_large(size)
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows put a mark in front
    except (OSError, ValueError) as error:
        return Document(name, "", {}), [_unreadable(name, error)]
    return parse_document(name, text)


def parse_document(name: str, text: str) -> tuple[Document, list[Diagnostic]]:
    """Parse TOML text; `name` stands for the file in what is printed."""
    text = text.replace("\r\n", "\n")
    if len(text) > MAX_CHARACTERS:
        return Document(name, "", {}), [_unreadable(name, _too_large(len(text)))]
    try:
        data = tomli.loads(text)
        if _deeper(data, MAX_DEPTH):
            raise RecursionError
        return Document(name, text, data), []
    except tomli.TOMLDecodeError as error:
        fault = _syntax(text, error)
    except RecursionError:
        fault = _fault(
            "NG003", "values are nested too deeply", _deepest(text), "a spec needs a list in a table at most"
        )
    except ValueError:  # tomli leaves numbers to Python, which bounds their digits
        at = re.search(r"\d{1000}", text)
        fault = _fault("NG003", "this number is too long", at.start() if at else 0, "sizes have a few digits")
    return Document(name, text, {}), [fault]


def _too_large(size: int) -> OSError:
    return OSError(f"{size:,} characters, more than the {MAX_CHARACTERS:,} of the longest spec")


def _fault(code: str, message: str, at: int, help: str) -> Diagnostic:
    return Diagnostic(code, message, Place(offset=at), help=help)


def _deeper(value: Any, depth: int) -> bool:
    """Whether tables and lists are nested deeper than `depth`."""
    level = [value]
    for _ in range(depth):
        inner = [v for v in level if isinstance(v, dict | list)]
        level = [item for v in inner for item in (v.values() if isinstance(v, dict) else v)]
    return bool(level)


def _deepest(text: str) -> int:
    """The bracket that is one too many, near enough: strings are not told apart."""
    depth = 0
    for place, char in enumerate(text):
        depth += (char in "[{") - (char in "]}")
        if depth > MAX_DEPTH:
            return place
    return 0


def _unreadable(name: str, error: Exception) -> Diagnostic:
    if isinstance(error, FileNotFoundError):
        message, help = f"there is no file `{name}`", "name a TOML file, or a spec that ships with nanogen"
    elif isinstance(error, UnicodeDecodeError):
        message, help = (
            f"`{name}` is not UTF-8 text: byte {error.start + 1:,} is none",
            "save the file as UTF-8",
        )
    else:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        message, help = f"`{name}` cannot be read: {reason}", "name a TOML file that you may read"
    return Diagnostic("NG001", message, Place(), help=help)


def _syntax(text: str, error: tomli.TOMLDecodeError) -> Diagnostic:
    """Say what is wrong in the words of the file, not of the parser."""
    at = min(error.pos, len(text.rstrip()))
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].split("\n", 1)[0]
    message = error.msg[:1].lower() + error.msg[1:].rstrip(".")
    if any(word in message for word in ("overwrite", "declare", "duplicate")):
        return _fault("NG004", "this key is given twice", _line_content(text, at), "keep one of the two")
    if message == "unterminated string":
        quotes = max(text.rfind('"""'), text.rfind("'''"))
        help = f"close it with `{text[quotes : quotes + 3]}`"
        return _fault("NG002", "this text is never closed", quotes, help)
    if bare := _BARE.match(line):
        help = 'write it in quotes: `{} = "{}"`'.format(
            *(part.replace('"', "").strip() for part in bare.groups())
        )
        return _fault("NG003", "this text stands without quotes", start + bare.start(2), help)
    unclosed = _unclosed_quote(line)
    if unclosed is not None:
        help = f"close it with `{line[unclosed]}` on the same line"
        return _fault("NG002", "this string is not closed", start + unclosed, help)
    for theirs, ours in _PLAINLY:
        message = message.replace(theirs, ours)
    help = "a value is a number, true or false, a list, a table, or text in quotes"
    if message == "this is no key":
        help = "names have letters from a to z, digits and `_`"
    return _fault("NG003", message, at, help)


_PLAINLY = (  # tomli's words, and ours
    (" in a key/value pair", ""),
    ("invalid value", "there is no value here"),
    ("invalid statement", "this is neither a key nor a table"),
    ("invalid initial character for a key part", "this is no key"),
    ("expected newline or end of document after a statement", "the line goes on after its value"),
    ("invalid", "unknown"),
)


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
