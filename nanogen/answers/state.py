"""What decoding keeps for one row, as the tree in which the emitted source asks for it.

`{"trunk": [{"mix": {"mix": {"k": State, "v": State}}}, ...]}`: names of equations, lists for layers, and
`Turns` for a loop, whose turns keep apart what they saw.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from nanogen.graph import Apply, Call, Climb, Graph, Line, Loop, Node, Unit, called, nodes
from nanogen.language.dials import Dial
from nanogen.load import Load, State

Tree = dict[str, Any]  # of trees, lists of trees, Turns, and State


@frozen
class Turns:
    """The state of a loop: the same tree for each of its turns."""

    times: int | Dial
    turn: Tree

    def count(self, load: Load) -> int:
        return self.times if isinstance(self.times, int) else load.dial(self.times)


def state(graph: Graph) -> Tree:
    """The state tree of the whole model; empty where nothing sees the past."""
    return of_unit(graph.model)


def of_unit(unit: Unit) -> Tree:
    tree: Tree = {}
    for line in unit.lines:
        for node, slot in slots(line).items():
            tree[slot] = _of_node(node)
    return tree


def _of_node(node: Node) -> Any:
    match node:
        case Apply():
            return {s.name: s for s in node.primitive.state(*node.values)}
        case Climb(layers=layers):
            return [of_unit(layer) for layer in layers]
        case Loop(body=body, times=times):
            return Turns(times, of_unit(body))
    return of_unit(called(node)[0])


def slots(line: Line) -> dict[Node, str]:
    """The nodes of a line that see the past or draw, each with its branch of `now`: the line's name, then numbered.

    The number stands behind a dot, which no name of a spec has.
    """
    seers = [node for node in nodes(line.node) if has_branch(node)]
    return {node: line.name if place == 0 else f"{line.name}.{place}" for place, node in enumerate(seers)}


def has_branch(node: Node) -> bool:
    """Whether a node is handed a branch of `now`: it sees the past, or draws, keyed by the branches' names."""
    if isinstance(node, Apply):
        return node.primitive.past or node.primitive.draws
    return isinstance(node, Call) and any(map(unit_has_branch, called(node)))


def unit_has_branch(unit: Unit) -> bool:
    return any(map(has_branch, unit.nodes))


def leaves(tree: Any, load: Load) -> list[State]:
    """All states of a tree, those of a loop once a turn."""
    if isinstance(tree, State):
        return [tree]
    if isinstance(tree, Turns):
        return leaves(tree.turn, load) * tree.count(load)
    branches = tree.values() if isinstance(tree, dict) else tree
    return [leaf for branch in branches for leaf in leaves(branch, load)]


def elements_per_row(graph: Graph, context: int, load: Load | None = None) -> int:
    """Numbers kept for a row once `context` positions were seen; the dials are the load's."""
    return sum(leaf.elements(context) for leaf in leaves(state(graph), load or Load()))


def bytes_per_row(graph: Graph, context: int, run_bytes: int = 2, load: Load | None = None) -> int:
    """Bytes kept for a row once `context` positions were seen, with a number of the run's dtype in `run_bytes`."""
    return sum(leaf.bytes(context, run_bytes) for leaf in leaves(state(graph), load or Load()))


def bytes_per_token(graph: Graph, context: int, run_bytes: int = 2, load: Load | None = None) -> int:
    """Bytes that the last of `context` positions adds; a window that is full by then adds none."""
    before = bytes_per_row(graph, context - 1, run_bytes, load)
    return bytes_per_row(graph, context, run_bytes, load) - before
