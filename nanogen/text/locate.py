"""Find where each key of a TOML document stands, without understanding its values.

tomli turns text into values and forgets positions. This walks the same text once more, only when a
diagnostic must be drawn, and maps key paths to spans: `("module", "attention", "q")` -> `(start, end)` of
the value. It assumes text that tomli accepted. A fault here can misplace a caret, never change a meaning.
"""

from __future__ import annotations

import re

import tomli

KeyPath = tuple  # of str | int: the keys that lead to a value, list indices included
Span = tuple[int, int]  # half-open range of characters

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def _match(pattern: re.Pattern, text: str, at: int) -> re.Match:
    found = pattern.match(text, at)
    assert found, f"text that tomli refuses, at {at}"
    return found


class Locator:
    """Spans of keys and values by key path; made by `locate`."""

    def __init__(self, text: str):
        self.text, self.pos = text, 0
        self.keys: dict[KeyPath, Span] = {}
        self.values: dict[KeyPath, Span] = {}
        self._counts: dict[KeyPath, int] = {}  # how many [[tables]] of a path were seen

    def walk(self) -> None:
        base: KeyPath = ()
        while char := self._skip():
            if char == "[":
                base = self._header()
            else:
                self._pair(base)

    def _skip(self) -> str:
        self.pos = _match(_BLANK, self.text, self.pos).end()
        return self.text[self.pos : self.pos + 1]

    def _key(self, base: KeyPath) -> KeyPath:
        """Read a possibly dotted key; each part is recorded the first time it is seen."""
        path = base
        while True:
            self._skip()
            start = self.pos
            found = _STRING.match(self.text, start) or _match(_BARE, self.text, start)
            self.pos = found.end()
            path = (*path, _unquote(found.group()))
            self.keys.setdefault(path, (start, self.pos))
            while self.text[self.pos : self.pos + 1] in (" ", "\t"):
                self.pos += 1
            if self.text[self.pos : self.pos + 1] != ".":
                return path
            self.pos += 1
            if path in self._counts:  # a.b after [[a]] means the last element of a
                path = (*path, self._counts[path] - 1)

    def _value(self, path: KeyPath) -> None:
        char, start = self._skip(), self.pos
        if char == "[":
            self._items(path, "]")
        elif char == "{":
            self._items(path, "}")
        elif char in "\"'":
            self.pos = _match(_STRING, self.text, start).end()
        else:
            self.pos = start + len(_match(_SCALAR, self.text, start).group().rstrip())
        self.values[path] = (start, self.pos)

    def _items(self, path: KeyPath, close: str) -> None:
        self.pos += 1
        index = 0
        while self._skip() != close:
            if self.text[self.pos] == ",":
                self.pos += 1
            elif close == "]":
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
        self.pos += 1

    def _pair(self, base: KeyPath) -> None:
        path = self._key(base)
        self._skip()
        self.pos += 1  # the "="
        self._value(path)

    def _header(self) -> KeyPath:
        start, double = self.pos, self.text.startswith("[[", self.pos)
        width = 2 if double else 1
        self.pos += width
        path = self._key(())
        self._skip()
        self.pos += width
        if double:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = (*path, index)
            self.keys[path] = (start, self.pos)
        elif path in self._counts:
            path = (*path, self._counts[path] - 1)
        self.values.setdefault(path, (start, self.pos))
        return path


def _unquote(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] == '"':
        return tomli.loads(f"k = {key}")["k"]
    return key


def locate(text: str) -> Locator:
    """Return the spans of every key and value of `text`, which tomli must have accepted."""
    found = Locator(text)
    found.walk()
    return found


def inside(text: str, value: Span, part: Span) -> Span:
    """Map characters `part` of a string's value to characters of the document.

    `value` is the span of the string as written, quotes included; escapes count as one character.
    """
    start, end = value
    quote = 3 if text.startswith(('"""', "'''"), start) else 1
    escapes = text[start] == '"'
    place = start + quote
    if quote == 3 and text.startswith("\n", place):
        place += 1  # TOML drops a newline right after the opening quotes
    offsets = []
    while place < end - quote:
        width = _escape_width(text, place) if escapes and text[place] == "\\" else 1
        if (
            not (escapes and text[place] == "\\") or not text[place + 1].isspace()
        ):  # a backslash at a line's end stands for nothing
            offsets.append(place)
        place += width
    offsets.append(end - quote)
    last = len(offsets) - 1
    first = offsets[min(part[0], last)]
    return first, max(first + 1, offsets[min(part[1], last)])


def _escape_width(text: str, at: int) -> int:
    following = text[at + 1 : at + 2]
    if following.isspace():  # a backslash at the end of a line swallows all blanks that follow
        return 1 + len(text[at + 1 :]) - len(text[at + 1 :].lstrip(" \t\n"))
    return {"x": 4, "u": 6, "U": 10}.get(following, 2)
