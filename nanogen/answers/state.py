"""What decoding keeps for one row, as the tree in which the emitted source asks for it.

`{"trunk": [{"mix": {"mix": {"k": State, "v": State}}}, ...]}`: names of equations, lists for layers.
"""

from __future__ import annotations

from typing import Any

from nanogen.graph import Apply, Climb, Enter, Graph, Line, Node, Unit, nodes
from nanogen.load import State

Tree = dict[str, Any]  # of trees, lists of trees, and State


def state(graph: Graph) -> Tree:
    """The state tree of the whole model; empty where nothing sees the past."""
    return of_unit(graph.model)


def of_unit(unit: Unit) -> Tree:
    tree: Tree = {}
    for line in unit.lines:
        for node, slot in slots(line).items():
            match node:
                case Apply():
                    tree[slot] = {s.name: s for s in node.primitive.state(*node.values)}
                case Enter(unit=inner):
                    tree[slot] = of_unit(inner)
                case Climb(layers=layers):
                    tree[slot] = [of_unit(layer) for layer in layers]
    return tree


def slots(line: Line) -> dict[Node, str]:
    """The nodes of a line that see the past, each with the name its state has: the line's, then numbered.

    The number stands behind a dot, which no name of a spec has.
    """
    seers = [node for node in nodes(line.node) if sees_past(node)]
    return {node: line.name if place == 0 else f"{line.name}.{place}" for place, node in enumerate(seers)}


def sees_past(node: Node) -> bool:
    match node:
        case Apply(primitive=primitive):
            return primitive.past
        case Enter(unit=unit):
            return unit_sees_past(unit)
        case Climb(layers=layers):
            return any(unit_sees_past(layer) for layer in layers)
    return False


def unit_sees_past(unit: Unit) -> bool:
    return any(sees_past(node) for line in unit.lines for node in nodes(line.node))


def leaves(tree: Any) -> list[State]:
    """All states of a tree."""
    if isinstance(tree, State):
        return [tree]
    branches = tree.values() if isinstance(tree, dict) else tree
    return [leaf for branch in branches for leaf in leaves(branch)]


def elements_per_row(graph: Graph, context: int) -> int:
    """Numbers kept for a row once `context` positions were seen."""
    return sum(leaf.elements(context) for leaf in leaves(state(graph)))


def elements_per_token(graph: Graph) -> int:
    """Numbers that the last position of the context adds; a window that is full by then adds none."""
    return elements_per_row(graph, graph.context) - elements_per_row(graph, graph.context - 1)


def bytes_per_row(graph: Graph, context: int, run_bytes: int) -> int:
    """Bytes kept for a row once `context` positions were seen, where the run's dtype has `run_bytes`."""
    return sum(leaf.bytes(context, run_bytes) for leaf in leaves(state(graph)))


def bytes_per_token(graph: Graph, run_bytes: int) -> int:
    """Bytes that the last position of the context adds."""
    context = graph.context
    return bytes_per_row(graph, context, run_bytes) - bytes_per_row(graph, context - 1, run_bytes)
