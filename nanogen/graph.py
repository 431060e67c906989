"""The graph: what a spec computes once its numbers are known. Units of lines, lines of nodes.

A `Unit` is a module, a layer, the body of a loop or the model with concrete shapes; layers that are alike
share one, so that an answer is computed once a unit and summed. Knows nothing of text, files or torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from attrs import define, field, frozen

from nanogen.language.dials import Dial
from nanogen.load import Load, Value
from nanogen.primitives import Parameter, Primitive


@define(eq=False)
class Node:
    """Something that has a value. Two nodes are the same only if they are one object."""

    value: Value


@define(eq=False)
class Read(Node):
    """A name: an input of the unit, what it reaches for in an earlier layer, or the value of another line."""

    name: str


@define(eq=False)
class Inside(Node):
    """A value inside a call: `path` of the call that stands in the line `call` reads.

    `layer` picks one layer of a stack; None is the module's or the loop's own, or those of all layers of a
    stack that have it, on a new first axis.
    """

    call: Read
    path: str
    layer: int | None = None


@frozen
class Borrowed:
    """Whose weights a call uses where it owns none: those of a line of this unit, or of a loan."""

    name: str
    lent: bool = False  # `name` is a loan's


@define(eq=False)
class Apply(Node):
    """A primitive applied to nodes."""

    primitive: Primitive
    inputs: tuple[Node, ...]
    weights: Borrowed | None = None

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(n.value for n in self.inputs)

    @property
    def used(self) -> tuple[Parameter, ...]:
        """The parameters that it computes with, whoever owns them."""
        return self.primitive.parameters(*self.values)

    @property
    def owned(self) -> tuple[Parameter, ...]:
        return () if self.weights else self.used


@define(eq=False)
class Call(Node):
    """A table called: its value is the first result of what it runs.

    A call is made before all that is read inside it is known; until its table is built, its units may be
    exchanged for units with more results.
    """

    inputs: tuple[Node, ...]
    weights: Borrowed | None = None

    @property
    def members(self) -> tuple[tuple[str, Unit], ...]:
        """What it runs, each with the part that the path of its parameters gets."""
        raise NotImplementedError

    def turns(self, load: Load) -> int:
        """How often each member runs under a load."""
        return 1


@define(eq=False)
class Enter(Call):
    """A module entered with these inputs."""

    unit: Unit = field(kw_only=True)

    @property
    def members(self) -> tuple[tuple[str, Unit], ...]:
        return (("", self.unit),)


@define(eq=False)
class Climb(Call):
    """A stack climbed layer by layer, each layer with weights of its own."""

    stack: str = field(kw_only=True)
    layers: list[Unit] = field(kw_only=True)

    @property
    def members(self) -> tuple[tuple[str, Unit], ...]:
        return tuple((f".{index}", layer) for index, layer in enumerate(self.layers))


@define(eq=False)
class Loop(Call):
    """A body computed `times` times with the same weights; gradients reach the last `backprop` turns."""

    loop: str = field(kw_only=True)
    body: Unit = field(kw_only=True)
    times: int | Dial = field(kw_only=True)
    backprop: int | None = field(kw_only=True)

    @property
    def members(self) -> tuple[tuple[str, Unit], ...]:
        return (("", self.body),)

    def turns(self, load: Load) -> int:
        times = self.times if isinstance(self.times, int) else load.dial(self.times)
        return min(times, self.backprop or times) if load.reached else times


@frozen
class Reach:
    """What a layer reads of an earlier one: `name` in the unit stands for `path` in layer `layer`."""

    name: str
    path: str
    layer: int
    value: Value


@frozen
class Loan:
    """Weights that a unit is handed: those of a line of an earlier layer, or of the model (None)."""

    name: str
    line: str
    layer: int | None = None


@frozen(eq=False)
class Line:
    """One equation: a name and what it stands for. A dotted name is a result inside a call."""

    name: str
    node: Node


@frozen(eq=False, slots=False)  # answers that many ask for are kept beside the fields
class Unit:
    """A table with its numbers known. `lines` come in an order in which they can be computed."""

    kind: str  # "module", "stack" (one layer), "loop" (one turn) or "model"
    name: str  # of the table
    inputs: tuple[tuple[str, Value], ...]
    lines: tuple[Line, ...]
    results: tuple[str, ...]  # those of the table, then those that others read inside the call
    numbers: dict[str, Any] = field(factory=dict)  # arguments and facts, for what people read
    modules: dict[str, str] = field(factory=dict)  # what each choice or module argument stands for
    reaches: tuple[Reach, ...] = ()  # of a layer
    loans: tuple[Loan, ...] = ()  # its own, and those of the model that what it calls needs
    alike: object = None  # equal for units that differ in nothing but what is read inside them

    @cached_property
    def passed(self) -> tuple[tuple[str, Value], ...]:
        """Inputs that the unit reads, or changes."""
        read = {n.name for n in self.nodes if isinstance(n, Read)}
        inputs = tuple((n, v) for n, v in self.inputs if n in read or n in self.results)
        return inputs + tuple((r.name, r.value) for r in self.reaches)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes of all lines, in the order of computation."""
        return tuple(node for line in self.lines for node in nodes(line.node))

    @cached_property
    def calls(self) -> tuple[Unit, ...]:
        """Every unit that it runs."""
        return tuple(unit for node in self.nodes for unit in called(node))

    @cached_property
    def owning(self) -> bool:
        """Whether it owns parameters, or calls what does."""
        return any(map(owns, self.nodes))

    @cached_property
    def parameters(self) -> int:
        """How many numbers it owns, with all that it calls."""
        own = sum(p.count for node in self.nodes if isinstance(node, Apply) for p in node.owned)
        calls = (node for node in self.nodes if isinstance(node, Call) and node.weights is None)
        return own + sum(unit.parameters for node in calls for unit in called(node))

    @cached_property
    def expanded(self) -> int:
        """Lines of the unit with all that it calls written out."""
        return len(self.lines) + sum(unit.expanded for unit in self.calls)

    @cached_property
    def depth(self) -> int:
        """How many calls stand one inside another, its own included."""
        return 1 + max((unit.depth for unit in self.calls), default=0)

    @cached_property
    def turned(self) -> int:
        """How often the innermost of loops in loops runs at most."""
        return max((inner.turned * most_turns(n) for n in self.nodes for inner in called(n)), default=1)

    @cached_property
    def _by_name(self) -> dict[str, Line]:
        return {line.name: line for line in reversed(self.lines)}

    def line(self, name: str) -> Line:
        return self._by_name[name]

    def value(self, name: str) -> Value:
        """Shape of a line's value."""
        return self.line(name).node.value


@frozen(eq=False)
class Graph:
    """A compiled model: its root unit, and the dims and dials it was built with."""

    name: str
    model: Unit
    dims: dict[str, Any]
    dials: dict[str, Dial] = field(factory=dict)

    @property
    def vocab(self) -> int:
        return self.dims["vocab"]

    @property
    def context(self) -> int:
        return self.dims["context"]


def parts(node: Node) -> tuple[Node, ...]:
    """Nodes that a node reads directly."""
    if isinstance(node, Apply | Call):
        return node.inputs
    return (node.call,) if isinstance(node, Inside) else ()


def nodes(node: Node) -> Iterator[Node]:
    """Return a node's parts, deepest first, then the node."""
    found, waiting = [], [node]
    while waiting:
        found.append(waiting.pop())
        waiting += parts(found[-1])
    return reversed(found)


def most_turns(node: Node) -> int:
    """How often a node runs what it calls at most."""
    if not isinstance(node, Loop):
        return 1
    return node.times if isinstance(node.times, int) else node.times.most


def owns(node: Node) -> bool:
    """Whether the node itself owns parameters; its parts are asked apart."""
    if isinstance(node, Apply):
        return bool(node.owned)
    return isinstance(node, Call) and node.weights is None and any(unit.owning for unit in called(node))


def called(node: Node) -> tuple[Unit, ...]:
    """Units that a node runs."""
    return tuple(unit for _, unit in node.members) if isinstance(node, Call) else ()


def owner_of(line: Line) -> Node | None:
    """The one node of a line that owns parameters, if any."""
    return next((node for node in nodes(line.node) if owns(node)), None)


def units(unit: Unit) -> list[Unit]:
    """The unit and all below it, each once."""
    seen: dict[Unit, None] = {}

    def visit(u: Unit) -> None:
        if u not in seen:
            seen[u] = None
            for inner in u.calls:
                visit(inner)

    visit(unit)
    return list(seen)


def climbs(graph: Graph) -> list[tuple[str, Climb]]:
    """Every call of a stack by the path of its equation; inside alike layers it is told once."""
    return [(path, call) for path, call in calls_of(graph) if isinstance(call, Climb)]


def loops(graph: Graph) -> list[tuple[str, Loop]]:
    """Every call of a loop by the path of its equation; inside alike layers it is told once."""
    return [(path, call) for path, call in calls_of(graph) if isinstance(call, Loop)]


def calls_of(graph: Graph) -> list[tuple[str, Call]]:
    """Every call by the path of its equation, those that run it first; inside alike layers it is told once."""
    found: list[tuple[str, Call]] = []

    def visit(unit: Unit, prefix: str) -> None:
        for line in unit.lines:
            for node in nodes(line.node):
                if not isinstance(node, Call):
                    continue
                path = prefix + line.name
                found.append((path, node))
                seen: set[Unit] = set()
                for suffix, inner in node.members:
                    if inner not in seen:
                        seen.add(inner)
                        visit(inner, f"{path}{suffix}.")

    visit(graph.model, "")
    return found


def layers_of(graph: Graph) -> list[tuple[str, int, Unit]]:
    """Every layer of every stack that the model climbs: path of the call, index, unit."""
    return [(path, index, layer) for path, climb in climbs(graph) for index, layer in enumerate(climb.layers)]
