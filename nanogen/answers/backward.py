"""Count the FLOPs of the backward pass: from the gradient of the logits to those of all parameters.

Twice the forward pass, but for what gradients do not reach: the early turns of a loop that is cut, and values
that a stack's last layer or a loop's last turn leaves beside its result, where none reads them.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from nanogen.graph import Apply, Call, Climb, Graph, Inside, Line, Loop, Node, Read, Unit, parts
from nanogen.load import Flops, Load

TIMES = 2  # a matmul forward, and twice backward: gradients of the weights and of the inputs

Wanted = set[tuple[str, int | None]]  # results of a call, or of one of its layers, that have a gradient


def backward(graph: Graph, load: Load) -> Flops:
    """Matmul FLOPs of the backward pass."""
    return _Backward(load).of_unit(graph.model, frozenset(graph.model.results))[0]


def backward_by_line(graph: Graph, load: Load) -> dict[str, Flops]:
    """The same, line by line of the model; a line without a gradient has none."""
    return _Backward(load).of_lines(graph.model, frozenset(graph.model.results))[0]


@frozen
class _Backward:
    """Units walked from their results to their inputs."""

    load: Load
    memo: dict[tuple[Unit, frozenset[str]], tuple[Flops, frozenset[str]]] = field(factory=dict)

    def of_unit(self, unit: Unit, wanted: frozenset[str]) -> tuple[Flops, frozenset[str]]:
        """FLOPs of what the `wanted` lines depend on, and the inputs and reaches that they depend on."""
        if (unit, wanted) not in self.memo:
            lines, inputs = self.of_lines(unit, wanted)
            self.memo[unit, wanted] = sum(lines.values(), Flops()), inputs
        return self.memo[unit, wanted]

    def of_lines(self, unit: Unit, wanted: frozenset[str]) -> tuple[dict[str, Flops], frozenset[str]]:
        """The same, a number for each line that has a gradient."""
        given = {name for name, _ in unit.inputs} | {reach.name for reach in unit.reaches}
        counted, inputs = dict[str, Flops](), set[str]()
        main, inner = set(wanted), dict[str, Wanted]()  # lines wanted, and what is wanted inside them
        for line in reversed(unit.lines):
            waiting = self.start(line, main, inner)
            while waiting:
                node, results = waiting.pop()
                if isinstance(node, Read):
                    (inputs if node.name in given else main).add(node.name)
                elif isinstance(node, Inside):
                    inner.setdefault(node.call.name, set()).add((node.path, node.layer))
                else:
                    flops, more = self.of_node(node, results)
                    counted[line.name] = counted.get(line.name, Flops()) + flops
                    waiting += [(part, set()) for part in more]
        return counted, frozenset(inputs)

    def start(self, line: Line, main: set[str], inner: dict[str, Wanted]) -> list[tuple[Node, Wanted]]:
        """Where the walk of a line begins, if it has a gradient at all."""
        results = set(inner.get(line.name, ()))
        if line.name in main and results:
            assert isinstance(line.node, Call)
            results.add((_first(line.node), None if not isinstance(line.node, Climb) else -1))
        return [(line.node, results)] if line.name in main or results else []

    def of_node(self, node: Node, results: Wanted) -> tuple[Flops, list[Node]]:
        """FLOPs of a node that has a gradient, and the nodes that get one through it."""
        if isinstance(node, Apply):
            found = node.primitive.flops(self.load, node.value, *node.values)
            return Flops(found.weights, found.pairs).times(TIMES), list(parts(node))
        assert isinstance(node, Call)
        wanted = results or {(_first(node), -1 if isinstance(node, Climb) else None)}
        if isinstance(node, Climb):
            total, reached = self.of_layers(node, wanted)
        elif isinstance(node, Loop):
            total, reached = self.of_turns(node)
        else:
            total, reached = self.of_unit(node.members[0][1], frozenset(path for path, _ in wanted))
        names = [name for name, _ in node.members[0][1].inputs]
        return total, [part for name, part in zip(names, node.inputs, strict=False) if name in reached]

    def of_layers(self, climb: Climb, wanted: Wanted) -> tuple[Flops, frozenset[str]]:
        """From the last layer down: what enters a layer is what leaves the one below."""
        names = {name for name, _ in climb.layers[0].inputs}
        left: list[set[str]] = [set() for _ in climb.layers]
        for path, layer in wanted:
            every = range(len(left)) if layer is None else [layer]
            for index in every:
                if path in climb.layers[index].results:
                    left[index].add(path)
        total, constant, carried = Flops(), set[str](), set[str]()
        for index in range(len(left) - 1, -1, -1):
            layer = climb.layers[index]
            flops, reached = self.of_unit(layer, frozenset(left[index] | carried))
            total += flops
            for reach in layer.reaches:
                if reach.name in reached:
                    left[reach.layer].add(reach.path)
            carried = {name for name in reached & names if name in layer.results}
            constant |= {name for name in reached & names if name not in layer.results}
        return total, frozenset(constant | carried)

    def of_turns(self, loop: Loop) -> tuple[Flops, frozenset[str]]:
        """From the last turn back, as far as gradients reach; before that the state has none."""
        reached_turns = loop.turns(evolve(self.load, reached=True))
        total, constant, carried = Flops(), set[str](), {_first(loop)}
        for _ in range(reached_turns):
            flops, reached = self.of_unit(loop.body, frozenset(carried))
            total += flops
            carried = {name for name in reached if name in loop.body.results}
            constant |= reached - carried
        whole = reached_turns == loop.turns(evolve(self.load, reached=False))
        return total, frozenset(constant | (carried if whole else set()))


def _first(call: Call) -> str:
    """The result that a call stands for."""
    return call.members[0][1].results[0]
