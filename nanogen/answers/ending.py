"""The ending of a model: what follows its last stack or loop, where that computes each position by itself.

A loss over such an ending can be made some positions at a time, so that logits are never there all at once. Knows
nothing of losses or of source; the source is cut at the same line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from attrs import evolve, frozen

from nanogen.answers.parameters import parameters
from nanogen.answers.regions import runs_layers
from nanogen.graph import Apply, Call, Graph, Inside, Line, Node, Read, Unit, nodes
from nanogen.load import Value

LEAST, MOST = (
    256,
    4096,
)  # positions at once: fewer would not pay for what each handful costs, more gain nothing


@frozen
class Weight:
    """A parameter that an ending computes with."""

    path: str
    cast: bool  # whether it is read in the run's dtype alone


@frozen
class Ending:
    """What a loss needs to know of an ending."""

    positions: int  # to compute at once: their logits are then not much more than twice the weights
    weights: tuple[Weight, ...]

    def chunk(self, count: int) -> int:
        """Positions of a chunk where there are so many in all: chunks are of one size."""
        return -(-count // -(-count // self.positions))


@frozen
class Whole:
    """No ending that comes apart, and why."""

    why: str


@lru_cache(maxsize=32)
def ending(graph: Graph) -> Ending | Whole:
    """The ending of a graph."""
    _, after = seam(graph.model)
    if after is None:
        return Whole("the model has no layers")
    if not any(isinstance(node, Apply) and node.used for line in after for node in nodes(line.node)):
        return Whole("no weights follow the layers")
    if why := _joined(after) or _crossing(graph.model, after):
        return Whole(why)
    weights = _weights(graph, after)
    sizes = {placed.path: placed.parameter.count for placed in parameters(graph)}
    head = sum(sizes[weight.path] for weight in weights)
    return Ending(min(max(LEAST, 2 * head // graph.vocab), MOST), weights)


def seam(model: Unit) -> tuple[tuple[Line, ...], tuple[Line, ...] | None]:
    """The lines up to the last that runs layers, and those after it; None where there are no layers."""
    cut = [place for place, line in enumerate(model.lines) if any(map(runs_layers, nodes(line.node)))]
    if not cut:
        return model.lines, None
    return model.lines[: cut[-1] + 1], model.lines[cut[-1] + 1 :]


@lru_cache(maxsize=32)
def front(graph: Graph) -> Graph:
    """The graph up to where its ending begins."""
    lines, _ = seam(graph.model)
    return evolve(graph, model=evolve(graph.model, lines=lines))


def crossing(model: Unit) -> list[Value]:
    """The values of positions that an ending reads of what is before it, each once."""
    before, after = seam(model)
    names = {line.name for line in before} | {name for name, _ in model.inputs}
    found: dict[object, Value] = {}
    for line in after or ():
        for node in nodes(line.node):
            if isinstance(node, Read) and node.name in names:
                found.setdefault(node.name, node.value)
            elif isinstance(node, Inside) and node.call.name in names:
                found.setdefault((node.call.name, node.path, node.layer), node.value)
    return [value for value in found.values() if value.timed and value.dtype != "ids"]


def _joined(lines: Iterable[Line]) -> str:
    """Why a position cannot be computed by itself; empty where it can."""
    for line in lines:
        for node in _all_nodes(nodes(line.node)):
            if isinstance(node, Apply) and node.primitive.past:
                return f"`{line.name}` sees other positions"
            if isinstance(node, Apply) and node.primitive.draws:
                return f"`{line.name}` draws"
            if isinstance(node, Apply) and node.primitive.table_of(*node.values) is not None:
                return f"`{line.name}` turns by position"
    return ""


def _all_nodes(some: Iterable[Node]) -> Iterator[Node]:
    """Nodes, and those of all that they call."""
    for node in some:
        yield node
        for _, unit in node.members if isinstance(node, Call) else ():
            yield from _all_nodes(unit.nodes)


def _crossing(model: Unit, after: tuple[Line, ...]) -> str:
    """Whether a table of numbers that is the same for all positions crosses the seam: it could pass for one that is not."""
    own = {line.name for line in after} | {name for name, _ in model.inputs}
    for line in after:
        for node in nodes(line.node):
            outside = isinstance(node, Read) and node.name not in own
            outside = outside or (isinstance(node, Inside) and node.call.name not in own)
            if outside and _tabular(node.value):
                return f"`{line.name}` reads a table that the layers read too"
    return ""


def _tabular(value: Value) -> bool:
    return not value.timed and len(value.axes) > 1


def _weights(graph: Graph, after: tuple[Line, ...]) -> tuple[Weight, ...]:
    """All parameters that the lines compute with, each once."""
    paths = [placed.path for placed in parameters(graph)]
    uses: dict[str, list[bool]] = {}
    for line in after:
        for node in nodes(line.node):
            if isinstance(node, Apply) and node.used:
                owner = node.weights.name if node.weights else line.name
                for parameter in node.used:
                    path = f"{owner}.{parameter.name}" if parameter.name else owner
                    narrow = parameter.cast and all(value.dtype == "run" for value in node.values)
                    uses.setdefault(path, []).append(narrow)
            elif isinstance(node, Call):
                owners = [node.weights.name if node.weights else line.name]
                owners += [loan.line for _, unit in node.members for loan in unit.loans]
                for path in paths:
                    if any(path.startswith(f"{owner}.") or path == owner for owner in owners):
                        uses.setdefault(path, []).append(False)
    return tuple(Weight(path, all(narrow)) for path, narrow in uses.items())
