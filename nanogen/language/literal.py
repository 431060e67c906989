"""A bare TOML value where an equation may stand: a number, a truth value or a list, as an expression."""

from __future__ import annotations

from typing import Any

from nanogen.language.arithmetic import LARGEST
from nanogen.language.expression import Expression, List_, Name, Number, Unary

MAX_ITEMS = 10_000  # of one list


def literal(value: Any, depth: int = 0) -> Expression | None:
    """A bare TOML value as an expression; None where it is none."""
    at = (0, 0)
    if isinstance(value, bool):
        return Name(at, "true" if value else "false")
    if isinstance(value, int | float):
        if not abs(value) < LARGEST:  # nor is nan
            return None
        return Number(at, value) if value >= 0 else Unary(at, "-", Number(at, -value))
    if isinstance(value, list) and len(value) <= MAX_ITEMS and depth < 2:
        items = [literal(v, depth + 1) for v in value]
        return None if None in items else List_(at, tuple(items))  # type: ignore[arg-type]
    return None


def no_equation(value: Any) -> tuple[str, str]:
    """Say why a TOML value is no equation, and what to do: the text of a fault and its help."""
    if isinstance(value, int | float):
        return (
            f"{kind_of_value(value)} is beyond what a model can have",
            "numbers of a spec stay below 2 ** 63",
        )
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        return (
            f"this list has {len(value):,} items, more than {MAX_ITEMS:,}",
            'write a rule in `i`: `"i % 3 == 1"`',
        )
    if isinstance(value, list):
        return "a list holds numbers here, and this one something else", "write `[1, 4, 7]`"
    help = (
        "a choice of modules stands in a stack"
        if isinstance(value, dict)
        else 'write it as text: `"linear(x, width)"`'
    )
    return f"an equation is text or a number, found {kind_of_value(value)}", help


def kind_of_value(value: Any) -> str:
    """Say what a TOML value is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value:.6g}" if abs(value) > 1e15 else f"the number {value}"
    if isinstance(value, str):
        return f'"{value}"' if len(value) < 40 and value.isprintable() else "text"
    return {dict: "a table", list: "a list"}.get(type(value), "a date")
