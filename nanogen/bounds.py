"""Bounds of settings, in keywords of JSON Schema, with refusals that people can read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import attrs

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, words: value in words,
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}


@attrs.frozen
class Bound:
    """What a setting must hold, in keywords of JSON Schema: a run is checked by them, and an editor reads them."""

    wanted: str  # "is above 0"
    keywords: dict[str, Any]

    def __call__(self, _: Any, attribute: Any, value: Any) -> None:
        if value is None or all(_HOLDS[k](value, bound) for k, bound in self.keywords.items()):
            return
        found = f"`{value}`" if isinstance(value, str) else f"{value:g}"
        raise ValueError(f"`{attribute.name}` {self.wanted}, found {found}")


def one_of(*words: str) -> Bound:
    """The setting is one of a few words."""
    return Bound(f"is one of {', '.join(words)}", {"enum": list(words)})


def at_least(lowest: float) -> Bound:
    """The setting has a lower bound; a setting that is absent has none."""
    return Bound(f"is at least {lowest:g}", {"minimum": lowest})


share = Bound("is a share between 0 and 1", {"exclusiveMinimum": 0, "exclusiveMaximum": 1})
positive = Bound("is above 0", {"exclusiveMinimum": 0})
