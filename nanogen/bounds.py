"""Validators of settings: bounds and words, whose refusals people can read."""

from __future__ import annotations

from typing import Any


def one_of(*words: str):
    """The setting is one of a few words."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if value not in words:
            raise ValueError(f"`{attribute.name}` is one of {', '.join(words)}, found `{value}`")

    return check


def share(_: Any, attribute: Any, value: float) -> None:
    """The setting is a share of a whole."""
    if not 0 < value < 1:
        raise ValueError(f"`{attribute.name}` is a share between 0 and 1, found {value}")


def at_least(lowest: float):
    """The setting has a lower bound; a setting that is absent has none."""

    def check(_: Any, attribute: Any, value: float | None) -> None:
        if value is not None and value < lowest:
            raise ValueError(f"`{attribute.name}` is at least {lowest:g}, found {value:g}")

    return check


def positive(_: Any, attribute: Any, value: float | None) -> None:
    """The setting is above zero, where it is given."""
    if value is not None and value <= 0:
        raise ValueError(f"`{attribute.name}` is above 0, found {value:g}")
