"""What a clock measured, kept apart from what was computed: two runs that computed the same have the same results.

Knows nothing of what the figures are about.
"""

from __future__ import annotations

from typing import Any

MEASURED = frozenset({"seconds", "tokens_per_second", "waited", "bytes_per_second"})
PREFIX = "clock."  # of the files that hold nothing else


def split(value: Any) -> tuple[Any, Any]:
    """Return plain JSON without what a clock measured, and that alone; the second is empty where there is none."""
    if isinstance(value, list | tuple):
        parts = [split(item) for item in value]
        return [kept for kept, _ in parts], {str(n): clock for n, (_, clock) in enumerate(parts) if clock}
    if not isinstance(value, dict):
        return value, {}
    kept, clock = {}, {}
    for key, item in value.items():
        if key in MEASURED:
            clock[key] = item
            continue
        kept[key], measured = split(item)
        if measured:
            clock[key] = measured
    return kept, clock


def join(kept: Any, clock: Any) -> Any:
    """What `split` took apart."""
    if isinstance(kept, list):
        return [join(item, clock.get(str(n), {})) for n, item in enumerate(kept)]
    if not isinstance(kept, dict):
        return kept
    joined = {key: join(item, clock.get(key, {})) for key, item in kept.items()}
    return joined | {key: item for key, item in clock.items() if key in MEASURED}


def stopped(clock: Any) -> Any:
    """The same as if every clock had measured 1, for whoever compares two runs."""
    return {key: stopped(item) if isinstance(item, dict) else 1 for key, item in clock.items()}
