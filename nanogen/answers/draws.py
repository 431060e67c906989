"""Whether a model draws random numbers while it runs."""

from __future__ import annotations

from nanogen.graph import Apply, Unit, called, nodes


def draws(unit: Unit) -> bool:
    """Whether a unit, or one that it calls, has a primitive that draws."""
    seen: set[Unit] = set()
    waiting = [unit]
    while waiting:
        unit = waiting.pop()
        if unit in seen:
            continue
        seen.add(unit)
        for line in unit.lines:
            for node in nodes(line.node):
                if isinstance(node, Apply) and node.primitive.draws:
                    return True
                waiting += called(node)
    return False
