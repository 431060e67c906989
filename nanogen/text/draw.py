"""Draw diagnostics for people, or as one JSON object a line for editors. Knows nothing of what they mean."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable

from attrs import frozen

from nanogen.text.diagnostics import Diagnostic, Place
from nanogen.text.document import Document, resolved
from nanogen.text.locate import Span, inside

SHOWN = 20  # diagnostics drawn in full; the rest is a count
WIDEST = 160  # characters of a line that are shown

Style = Callable[[str, str], str]  # text, kind ("error", "warning", "frame", "help") -> text


@frozen
class Spot:
    """A place as people count: line and columns from 1, `end_column` exclusive, on one line."""

    file: str
    line: int
    column: int
    end_column: int
    text: str  # the whole line


def plain(text: str, kind: str) -> str:
    return text


def find(document: Document, place: Place) -> Spot:
    """Return the line and columns of a place; a key that is missing falls back to its table."""
    document, place = resolved(document, place)
    start, end = _span(document, place)
    before = document.text[:start]
    line_start = before.rfind("\n") + 1
    line = document.text[line_start:].split("\n", 1)[0]
    column = start - line_start
    width = max(1, min(end, line_start + len(line.rstrip())) - start)
    return Spot(document.name, before.count("\n") + 1, column + 1, column + 1 + width, line)


def _span(document: Document, place: Place) -> Span:
    if place.offset is not None:
        return place.offset, max(place.offset + 1, document.text.find("\n", place.offset))
    locator = document.locator
    if place.on_key and place.path in locator.keys:
        return locator.keys[place.path]
    if place.path in locator.values:
        value = locator.values[place.path]
        quoted = document.text[value[0] : value[0] + 1] in ("'", '"')
        return inside(document.text, value, place.span) if place.span and quoted else value
    if place.path in locator.keys:
        return locator.keys[place.path]
    return _span(document, Place(place.path[:-1])) if place.path else (0, 1)


def ordered(document: Document, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Errors and warnings in the order of the file."""
    return sorted(diagnostics, key=lambda d: (*_rank(document, d.place), d.code, d.message))


def _rank(document: Document, place: Place) -> tuple[bool, str, Span]:
    """The document first, then the files it uses; each from its beginning."""
    file, place = resolved(document, place)
    return file is not document, file.name, _span(file, place)


def draw(document: Document, diagnostics: Iterable[Diagnostic], style: Style = plain) -> str:
    """Return the diagnostics as text: head line, place, excerpt with caret, notes, help."""
    found = ordered(document, diagnostics)
    drawn = [_draw_one(document, d, style) for d in found[:SHOWN]]
    if len(found) > SHOWN:
        drawn.append(f"... and {len(found) - SHOWN} more")
    return "\n\n".join(drawn)


def _draw_one(document: Document, diagnostic: Diagnostic, style: Style) -> str:
    head = style(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
    lines = [f"{head}: {diagnostic.message}"]
    spot = find(document, diagnostic.place)
    notes = [(find(document, note.place), note.label) for note in diagnostic.notes]
    if resolved(document, diagnostic.place)[0].text:
        gutter = len(str(max([spot.line, *(s.line for s, _ in notes)])))
        bar = style(" " * gutter + " |", "frame")
        arrow = style(" " * gutter + "-->", "frame")
        lines += [f"{arrow} {spot.file}:{spot.line}:{spot.column}", bar]
        lines += _excerpt(spot, diagnostic.label, "^", gutter, diagnostic.severity, style)
        for note_spot, label in notes:
            elsewhere = [f"{arrow} {note_spot.file}:{note_spot.line}:{note_spot.column}"]
            lines += elsewhere if note_spot.file != spot.file else []
            lines += [bar, *_excerpt(note_spot, label, "-", gutter, "frame", style)]
    if diagnostic.help:
        lines.append(f"{style(' = help:', 'help')} {diagnostic.help}")
    return "\n".join(lines)


def _excerpt(spot: Spot, label: str, mark: str, gutter: int, kind: str, style: Style) -> list[str]:
    spot = _clipped(spot)
    number = style(f"{spot.line:>{gutter}} |", "frame")
    indent = "".join(c if c == "\t" else " " * _cells(c) for c in spot.text[: spot.column - 1])
    under = spot.text[spot.column - 1 : spot.end_column - 1]
    marks = style(mark * max(1, sum(map(_cells, under))) + (f" {label}" if label else ""), kind)
    return [f"{number} {spot.text}", f"{style(' ' * gutter + ' |', 'frame')} {indent}{marks}"]


def _clipped(spot: Spot) -> Spot:
    """The part of a long line that is around the marks."""
    if len(spot.text) <= WIDEST:
        return spot
    start = max(0, min(spot.column - 1 - WIDEST // 3, len(spot.text) - WIDEST))
    head, tail = ".." if start else "", ".." if start + WIDEST < len(spot.text) else ""
    text = head + spot.text[start : start + WIDEST] + tail
    column = spot.column - start + len(head)
    end = min(spot.end_column - start + len(head), len(text) + 1)
    return Spot(spot.file, spot.line, column, end, text)


def _cells(char: str) -> int:
    """How many columns a terminal gives a character: two for a kanji, none for a combining mark."""
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")


def as_json(document: Document, diagnostics: Iterable[Diagnostic]) -> str:
    """Return one JSON object a line, with the same fields as the drawing."""
    return "\n".join(
        json.dumps(_fields(document, d), ensure_ascii=False) for d in ordered(document, diagnostics)
    )


def _fields(document: Document, diagnostic: Diagnostic) -> dict:
    spot = find(document, diagnostic.place)
    notes = [
        {"file": s.file, "line": s.line, "column": s.column, "end_column": s.end_column, "label": note.label}
        for note in diagnostic.notes
        if (s := find(document, note.place))
    ]
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": spot.file,
        "line": spot.line,
        "column": spot.column,
        "end_column": spot.end_column,
        "path": list(resolved(document, diagnostic.place)[1].path),
        "label": diagnostic.label,
        "help": diagnostic.help,
        "notes": notes,
    }
