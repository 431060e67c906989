"""The parameters of a graph, with their paths, in the order of the file. Counts nothing that is not built."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from nanogen.graph import Apply, Climb, Enter, Graph, Unit, nodes
from nanogen.primitives import Parameter


@frozen
class Placed:
    """A parameter at its path: `trunk.3.mix.q.weight`."""

    path: str
    parameter: Parameter


def parameters(graph: Graph) -> list[Placed]:
    """Every parameter of the model."""
    return list(_of_unit(graph.model, ""))


def count(graph: Graph) -> int:
    """Number of parameters."""
    return sum(p.parameter.count for p in parameters(graph))


def count_unit(unit: Unit) -> int:
    """Number of parameters of one module or layer."""
    return sum(p.parameter.count for p in _of_unit(unit, ""))


def of_unit(unit: Unit, prefix: str = "") -> list[Placed]:
    """Every parameter of one module or layer, `prefix` before its paths."""
    return list(_of_unit(unit, prefix))


def by_role(graph: Graph) -> dict[str, int]:
    """Number of parameters of each optimizer group."""
    found: dict[str, int] = {}
    for placed in parameters(graph):
        role = placed.parameter.role
        found[role] = found.get(role, 0) + placed.parameter.count
    return found


def _of_unit(unit: Unit, prefix: str) -> Iterator[Placed]:
    for line in unit.lines:
        path = prefix + line.name
        for node in nodes(line.node):
            match node:
                case Apply():
                    yield from (Placed(f"{path}.{p.name}".rstrip("."), p) for p in node.owned)
                case Enter(unit=inner):
                    yield from _of_unit(inner, f"{path}.")
                case Climb(layers=layers):
                    for index, layer in enumerate(layers):
                        yield from _of_unit(layer, f"{path}.{index}.")
