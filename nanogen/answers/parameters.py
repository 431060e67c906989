"""The parameters of a graph, with their paths, in the order of the file. Counts nothing that is not built."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from attrs import frozen

from nanogen.graph import Apply, Call, Graph, Unit, nodes
from nanogen.primitives import Parameter


@frozen
class Placed:
    """A parameter at its path: `trunk.3.mix.q.weight`."""

    path: str
    parameter: Parameter
    within: tuple[str, ...] = ()  # tables that were entered on the way, the owner last


@lru_cache(maxsize=32)  # of the graphs that are asked about, time and again
def parameters(graph: Graph) -> tuple[Placed, ...]:
    """Every parameter of the model."""
    return tuple(of_unit(graph.model))


def count(graph: Graph) -> int:
    """Number of parameters."""
    return graph.model.parameters


def count_unit(unit: Unit) -> int:
    """Number of parameters of one module or layer."""
    return unit.parameters


def by_role(graph: Graph) -> dict[str, int]:
    """Number of parameters of each optimizer group."""
    found: dict[str, int] = {}
    for placed in parameters(graph):
        role = placed.parameter.role
        found[role] = found.get(role, 0) + placed.parameter.count
    return found


def of_unit(unit: Unit, prefix: str = "", within: tuple[str, ...] = ()) -> Iterator[Placed]:
    """The parameters of one module or layer that are its own; `within` are the tables around it."""
    within = (*within, unit.name)
    for line in unit.lines:
        path = prefix + line.name
        for node in nodes(line.node):
            if isinstance(node, Apply):
                yield from (Placed(f"{path}.{p.name}".rstrip("."), p, within) for p in node.owned)
            elif isinstance(node, Call) and node.weights is None:
                for suffix, inner in node.members:
                    yield from of_unit(inner, f"{path}{suffix}.", within)
