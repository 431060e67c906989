"""TOML text with some values replaced, comments and all else kept. Knows nothing of what the keys mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nanogen.text.document import Document
from nanogen.text.locate import KeyPath

_COMMENT = re.compile(r"( +)#")


def with_values(document: Document, values: Mapping[KeyPath, Any]) -> str:
    """Return the document's text with other values at these keys, each of which it has."""
    text = document.text
    spans = {document.locator.values[path]: _toml(value) for path, value in values.items()}
    for (start, end), written in sorted(spans.items(), reverse=True):
        text = text[:start] + written + _comment_in_place(text[end:], len(written) - (end - start))
    return text


def _comment_in_place(rest: str, longer: int) -> str:
    """What follows a value, its comment in the column where it was, if there is room."""
    found = _COMMENT.match(rest)
    return " " * max(1, len(found[1]) - longer) + rest[found.end(1) :] if found else rest


def _toml(value: Any) -> str:
    """A number, truth value, text or list as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)
