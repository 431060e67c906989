"""Bounds of settings, in keywords of JSON Schema, with refusals that people can read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import attrs

from nanogen.text.diagnostics import nearest

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, words: value in words,
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}


class OutOfBounds(ValueError):
    """A setting's refusal that says what to do; without help, the setting's default is told."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@attrs.frozen
class Bound:
    """What a setting must hold, in keywords of JSON Schema: a run is checked by them, and an editor reads them."""

    wanted: str  # "is above 0"
    keywords: dict[str, Any]

    def __call__(self, _: Any, attribute: Any, value: Any) -> None:
        if value is None or all(_HOLDS[k](value, bound) for k, bound in self.keywords.items()):
            return
        found = f"`{value}`" if isinstance(value, str) else f"{value:g}"
        words = self.keywords.get("enum", ()) if isinstance(value, str) else ()
        raise OutOfBounds(
            f"`{attribute.name}` {self.wanted}, found {found}", nearest(value, words) if words else ""
        )


def one_of(*words: str) -> Bound:
    """The setting is one of a few words."""
    return Bound(f"is one of {', '.join(words)}", {"enum": list(words)})


def at_least(lowest: float) -> Bound:
    """The setting has a lower bound; a setting that is absent has none."""
    return Bound(f"is at least {lowest:g}", {"minimum": lowest})


share = Bound("is a share between 0 and 1", {"exclusiveMinimum": 0, "exclusiveMaximum": 1})
positive = Bound("is above 0", {"exclusiveMinimum": 0})
