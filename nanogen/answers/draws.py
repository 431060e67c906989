"""Whether a model draws random numbers while it runs."""

from __future__ import annotations

from nanogen.graph import Apply, Unit


def draws(unit: Unit) -> bool:
    """Whether a unit, or one that it calls, has a primitive that draws."""
    seen: set[Unit] = set()
    waiting = [unit]
    while waiting:
        unit = waiting.pop()
        if unit in seen:
            continue
        seen.add(unit)
        if any(isinstance(node, Apply) and node.primitive.draws for node in unit.nodes):
            return True
        waiting += unit.calls
    return False
