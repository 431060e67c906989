"""Which modules of a model to compile, each by itself: its innermost layers and turns.

Layers of one kind share their code, and so do all turns of a loop: the number of compiled graphs is that of
the kinds, whatever the depth and wherever a dial stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from nanogen.graph import Call, Climb, Graph, Loop, Node, Unit, called, owner_of
from nanogen.language.dials import Dial


def regions(graph: Graph) -> list[str]:
    """Paths of the modules, as in `trunk.3` or `think`."""
    return list(_of_unit(graph.model, ""))


def _of_unit(unit: Unit, prefix: str) -> Iterator[str]:
    for line in unit.lines:
        owner = owner_of(line)
        for suffix, inner in owner.members if isinstance(owner, Call) else ():
            path = f"{prefix}{line.name}{suffix}"
            below = list(_of_unit(inner, f"{path}."))
            yield from below
            if isinstance(owner, Climb | Loop) and not below and not any(map(_turns_by_dial, inner.nodes)):
                yield path


def runs_layers(node: Node) -> bool:
    """Whether a node climbs a stack or turns a loop, itself or in what it calls."""
    return isinstance(node, Climb | Loop) or any(runs_layers(n) for u in called(node) for n in u.nodes)


def _turns_by_dial(node: Node) -> bool:
    """Whether a graph of it would hold for one place of a dial alone."""
    if isinstance(node, Loop) and isinstance(node.times, Dial):
        return True
    return any(_turns_by_dial(n) for u in called(node) for n in u.nodes)
