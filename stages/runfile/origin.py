"""One value of a run, and where it comes from. Knows nothing of how it was found."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen


@frozen
class Origin:
    """A value with its origin: `file`, `set`, `rehearse`, `default`, `derived` or `rehearsal`; None is not known yet."""

    key: str
    value: Any
    origin: str
    why: str
    where: str = ""


def plain(value: Any) -> Any:
    """A setting as JSON has it; settings within settings are tables of what is said there."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if not attrs.has(type(value)):
        return value
    fields = attrs.fields(type(value))
    return {f.name: plain(v) for f in fields if (v := getattr(value, f.name)) != f.default}


def shown(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and 1000 <= abs(value) < 1e15 else f"{value:.6g}"
    return f'"{value}"' if isinstance(value, str) else f"{value}"
