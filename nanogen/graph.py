"""The graph: what a spec computes once its numbers are known. Units of lines, lines of nodes.

A `Unit` is a module, a layer or the model with concrete shapes; layers that are alike share one, so that an
answer is computed once a unit and summed. Knows nothing of text, files or torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from attrs import field, frozen

from nanogen.load import Value
from nanogen.primitives import Parameter, Primitive


@frozen(eq=False)
class Node:
    """Something that has a value. Two nodes are the same only if they are one object."""

    value: Value


@frozen(eq=False)
class Read(Node):
    """A name: an input of the unit, or the value of another line."""

    name: str


@frozen(eq=False)
class Apply(Node):
    """A primitive applied to nodes."""

    primitive: Primitive
    inputs: tuple[Node, ...]

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(n.value for n in self.inputs)

    @property
    def owned(self) -> tuple[Parameter, ...]:
        return self.primitive.parameters(*self.values)


@frozen(eq=False)
class Enter(Node):
    """A module entered with these inputs; its value is the unit's result."""

    unit: Unit
    inputs: tuple[Node, ...]


@frozen(eq=False)
class Climb(Node):
    """A stack climbed layer by layer, each layer with weights of its own."""

    stack: str
    layers: tuple[Unit, ...]
    inputs: tuple[Node, ...]


@frozen(eq=False)
class Line:
    """One equation: a name and what it stands for."""

    name: str
    node: Node


@frozen(eq=False, slots=False)  # answers that many ask for are kept beside the fields
class Unit:
    """A table with its numbers known. `lines` come in an order in which they can be computed."""

    kind: str  # "module", "stack" (one layer) or "model"
    name: str  # of the table
    inputs: tuple[tuple[str, Value], ...]
    lines: tuple[Line, ...]
    results: tuple[str, ...]
    numbers: dict[str, Any] = field(factory=dict)  # arguments and facts, for what people read
    modules: dict[str, str] = field(factory=dict)  # what each choice or module argument stands for

    @property
    def passed(self) -> tuple[tuple[str, Value], ...]:
        """Inputs that the unit reads, or changes."""
        read = {n.name for line in self.lines for n in nodes(line.node) if isinstance(n, Read)}
        return tuple((n, v) for n, v in self.inputs if n in read or n in self.results)

    @cached_property
    def owning(self) -> bool:
        """Whether it owns parameters, or calls what does."""
        return any(owns(node) for line in self.lines for node in nodes(line.node))

    @cached_property
    def expanded(self) -> int:
        """Lines of the unit with all that it calls written out."""
        inner = (u for line in self.lines for node in nodes(line.node) for u in called(node))
        return len(self.lines) + sum(u.expanded for u in inner)

    def line(self, name: str) -> Line:
        return next(line for line in self.lines if line.name == name)


@frozen(eq=False)
class Graph:
    """A compiled model: its root unit and the dims it was built with."""

    name: str
    model: Unit
    dims: dict[str, Any]

    @property
    def vocab(self) -> int:
        return self.dims["vocab"]

    @property
    def context(self) -> int:
        return self.dims["context"]


def parts(node: Node) -> tuple[Node, ...]:
    """Nodes that a node reads directly."""
    return () if isinstance(node, Read) else node.inputs  # type: ignore[attr-defined]


def nodes(node: Node) -> Iterator[Node]:
    """Yield a node's parts, deepest first, then the node."""
    for part in parts(node):
        yield from nodes(part)
    yield node


def owns(node: Node) -> bool:
    """Whether the node itself owns parameters; its parts are asked apart."""
    match node:
        case Apply():
            return bool(node.owned)
        case Enter(unit=unit):
            return unit.owning
        case Climb(layers=layers):
            return any(layer.owning for layer in layers)
    return False


def called(node: Node) -> tuple[Unit, ...]:
    """Units that a node runs."""
    return node.layers if isinstance(node, Climb) else (node.unit,) if isinstance(node, Enter) else ()


def owner_of(line: Line) -> Node | None:
    """The one node of a line that owns parameters, if any."""
    return next((node for node in nodes(line.node) if owns(node)), None)


def climbs(graph: Graph) -> list[tuple[str, Climb]]:
    """Every call of a stack by the path of its equation; inside alike layers it is told once."""
    found: list[tuple[str, Climb]] = []

    def visit(unit: Unit, prefix: str) -> None:
        for line in unit.lines:
            path = prefix + line.name
            for node in nodes(line.node):
                if isinstance(node, Climb):
                    found.append((path, node))
                    first = {layer: index for index, layer in reversed(list(enumerate(node.layers)))}
                    for layer, index in sorted(first.items(), key=lambda item: item[1]):
                        visit(layer, f"{path}.{index}.")
                elif isinstance(node, Enter):
                    visit(node.unit, f"{path}.")

    visit(graph.model, "")
    return found


def layers_of(graph: Graph) -> list[tuple[str, int, Unit]]:
    """Every layer of every stack that the model climbs: path of the call, index, unit."""
    return [(path, index, layer) for path, climb in climbs(graph) for index, layer in enumerate(climb.layers)]
