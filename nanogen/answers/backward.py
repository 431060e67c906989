"""Count the FLOPs of the backward pass: from the gradient of the logits to those of all parameters.

Twice the forward pass, but for what gradients do not reach: the early turns of a loop that is cut, and values
that a stack's last layer or a loop's last turn leaves beside its result, where none reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve, field, frozen

from nanogen.graph import Apply, Call, Climb, Graph, Inside, Line, Loop, Node, Read, Unit, called, parts
from nanogen.load import Flops, Load

TIMES = 2  # a matmul forward, and twice backward: gradients of the weights and of the inputs

Only = Callable[[Apply], bool]  # which primitives are counted
Wanted = set[tuple[str, int | None]]  # results of a call, or of one of its layers, that have a gradient


@frozen
class Reached:
    """A unit where it is called, and which of its results gradients reach there."""

    unit: Unit
    results: frozenset[str]

    @classmethod
    def whole(cls, graph: Graph) -> Reached:
        return cls(graph.model, frozenset(graph.model.results))


@frozen
class Gradients:
    """What gradients reach in a unit: its lines, its inputs and reaches, and what each call runs.

    A turn of a loop stands for all: what any of them is reached in.
    """

    lines: Mapping[str, Flops]
    inputs: frozenset[str]
    calls: Mapping[Call, tuple[Reached, ...]]

    @property
    def flops(self) -> Flops:
        return sum(self.lines.values(), Flops())

    def members(self, call: Call) -> tuple[Reached, ...]:
        """What a call runs; gradients do not reach all calls."""
        return self.calls.get(call) or tuple(Reached(unit, frozenset()) for unit in called(call))


def backward(graph: Graph, load: Load, only: Only | None = None) -> Flops:
    """Matmul FLOPs of the backward pass."""
    return Backward(load, only).of_unit(Reached.whole(graph)).flops


@frozen
class Backward:
    """Units walked from their results to their inputs."""

    load: Load
    only: Only | None = None
    memo: dict[Reached, Gradients] = field(factory=dict)

    def of_unit(self, reached: Reached) -> Gradients:
        """What the results depend on that gradients reach."""
        if reached not in self.memo:
            unit = reached.unit
            given = {name for name, _ in unit.inputs} | {reach.name for reach in unit.reaches}
            lines, inputs, calls = dict[str, Flops](), set[str](), dict[Call, tuple[Reached, ...]]()
            main, inner = set(reached.results), dict[str, Wanted]()  # lines wanted, and what inside them
            for line in reversed(unit.lines):
                lines[line.name] = Flops()
                waiting = self.start(line, main, inner)
                while waiting:
                    node, results = waiting.pop()
                    if isinstance(node, Read):
                        (inputs if node.name in given else main).add(node.name)
                    elif isinstance(node, Inside):
                        inner.setdefault(node.call.name, set()).add((node.path, node.layer))
                    else:
                        flops, more = self.of_node(node, results, calls)
                        lines[line.name] += flops
                        waiting += [(part, set()) for part in more]
            self.memo[reached] = Gradients(lines, frozenset(inputs), calls)
        return self.memo[reached]

    def start(self, line: Line, main: set[str], inner: dict[str, Wanted]) -> list[tuple[Node, Wanted]]:
        """Where the walk of a line begins, if it has a gradient at all."""
        results = set(inner.get(line.name, ()))
        if line.name in main and results:
            assert isinstance(line.node, Call)
            results.add((_first(line.node), None if not isinstance(line.node, Climb) else -1))
        return [(line.node, results)] if line.name in main or results else []

    def of_node(
        self, node: Node, results: Wanted, calls: dict[Call, tuple[Reached, ...]]
    ) -> tuple[Flops, list[Node]]:
        """FLOPs of a node that has a gradient, and the nodes that get one through it."""
        if isinstance(node, Apply):
            counted = self.only is None or self.only(node)
            found = node.primitive.flops(self.load, node.value, *node.values) if counted else Flops()
            return Flops(found.weights, found.pairs).times(TIMES), list(parts(node))
        assert isinstance(node, Call)
        wanted = results or {(_first(node), -1 if isinstance(node, Climb) else None)}
        if isinstance(node, Climb):
            total, inputs, calls[node] = self.of_layers(node, wanted)
        elif isinstance(node, Loop):
            total, inputs, calls[node] = self.of_turns(node)
        else:
            inside = Reached(node.members[0][1], frozenset(path for path, _ in wanted))
            found = self.of_unit(inside)
            total, inputs, calls[node] = found.flops, found.inputs, (inside,)
        names = [name for name, _ in node.members[0][1].inputs]
        return total, [part for name, part in zip(names, node.inputs, strict=False) if name in inputs]

    def of_layers(self, climb: Climb, wanted: Wanted) -> tuple[Flops, frozenset[str], tuple[Reached, ...]]:
        """From the last layer down: what enters a layer is what leaves the one below."""
        names = {name for name, _ in climb.layers[0].inputs}
        left: list[set[str]] = [set() for _ in climb.layers]
        for path, layer in wanted:
            every = range(len(left)) if layer is None else [layer]
            for index in every:
                if path in climb.layers[index].results:
                    left[index].add(path)
        total, constant, carried, layers = Flops(), set[str](), set[str](), list[Reached]()
        for index in range(len(left) - 1, -1, -1):
            layer = climb.layers[index]
            layers.insert(0, Reached(layer, frozenset(left[index] | carried)))
            found = self.of_unit(layers[0])
            total += found.flops
            for reach in layer.reaches:
                if reach.name in found.inputs:
                    left[reach.layer].add(reach.path)
            carried = {name for name in found.inputs & names if name in layer.results}
            constant |= {name for name in found.inputs & names if name not in layer.results}
        return total, frozenset(constant | carried), tuple(layers)

    def of_turns(self, loop: Loop) -> tuple[Flops, frozenset[str], tuple[Reached, ...]]:
        """From the last turn back, as far as gradients reach; before that the state has none."""
        reached_turns = loop.turns(evolve(self.load, reached=True))
        total, constant, carried, ever = Flops(), set[str](), {_first(loop)}, set[str]()
        for _ in range(reached_turns):
            ever |= carried
            found = self.of_unit(Reached(loop.body, frozenset(carried)))
            total += found.flops
            carried = {name for name in found.inputs if name in loop.body.results}
            constant |= found.inputs - carried
        whole = reached_turns == loop.turns(evolve(self.load, reached=False))
        every = (Reached(loop.body, frozenset(ever)),)
        return total, frozenset(constant | (carried if whole else set())), every


def _first(call: Call) -> str:
    """The result that a call stands for."""
    return call.members[0][1].results[0]
