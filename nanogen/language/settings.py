"""The settings of primitives, read from their classes: which there are, of what kind, in what order."""

from __future__ import annotations

from functools import cache

import attrs

from nanogen.primitives import PRIMITIVES


@cache
def settings_of(primitive: str) -> dict[str, attrs.Attribute]:
    """Settings by name, in the order that positional arguments fill them."""
    cls = PRIMITIVES[primitive]
    return {f.name: f for f in attrs.fields(cls)} if attrs.has(cls) else {}


def kind_of_setting(primitive: str, setting: str) -> str | None:
    """ "size", "number", "flag", "choice", "value", "init", "role" ..., or None where there is no such setting."""
    if primitive not in PRIMITIVES:
        return None
    found = settings_of(primitive).get(setting)
    return found.metadata["kind"] if found is not None else None


def signature(primitive: str) -> str:
    """Write how a primitive is called: `softcap(x, cap)`."""
    parts = list(PRIMITIVES[primitive].inputs)
    first = [name for name, setting in settings_of(primitive).items() if setting.metadata["kind"] == "text"]
    for name, setting in settings_of(primitive).items():
        if name in first:
            continue
        if setting.metadata["kind"] == "sizes":
            parts.append(f"{name}...")
        else:
            parts.append(name if setting.default is attrs.NOTHING else f"{name}={_default(setting.default)}")
    return f"{primitive}({', '.join(first + parts).replace(', ...', ', ..')})"


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else f"{value:.3g}" if isinstance(value, float) else f"{value}"
