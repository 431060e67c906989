"""Count the FLOPs of a graph under a load. Knows nothing of torch, files or time.

Two counts, never mixed up. The exact one takes each matmul as it is, attention over the keys that a causal
query sees, windows included; training adds the backward of each matmul that the logits depend on, which is two
more: every value depends on parameters, so both sides have a gradient. The convention that the field quotes,
6N + 12·layers·width·T (PaLM, arXiv 2204.02311, appendix B), takes N = weights that multiply (embeddings apart),
and attention as if every query saw all T keys.
"""

from __future__ import annotations

from attrs import field, frozen

from nanogen.graph import Apply, Climb, Enter, Graph, Node, Read, Unit, nodes
from nanogen.load import Flops, Load

TRAINING = 3  # a matmul forward, and twice in backward: gradients of the weights and of the inputs


def forward(graph: Graph, load: Load) -> Flops:
    """FLOPs of one forward pass."""
    return of_unit(graph.model, load)


def backward(graph: Graph, load: Load) -> Flops:
    """Matmul FLOPs from the gradient of the logits to those of all parameters.

    Twice the forward pass, but for what a stack computes and none reads: values that leave its last layer
    beside the result.
    """
    return _Backward(load).of_unit(graph.model, frozenset(graph.model.results))[0]


def of_unit(unit: Unit, load: Load, memo: dict[Unit, Flops] | None = None) -> Flops:
    """FLOPs of one module or layer; alike units are counted once and multiplied."""
    memo = {} if memo is None else memo
    if unit not in memo:
        total = Flops()
        for line in unit.lines:
            for node in nodes(line.node):
                match node:
                    case Apply():
                        total += node.primitive.flops(load, node.value, *node.values)
                    case Enter(unit=inner):
                        total += of_unit(inner, load, memo)
                    case Climb(layers=layers):
                        total = sum((of_unit(layer, load, memo) for layer in layers), total)
        memo[unit] = total
    return memo[unit]


def training_per_token(graph: Graph, tokens: int) -> float:
    """Exact matmul FLOPs of training, a token, in rows of `tokens`."""
    load = Load(1, tokens)
    return (forward(graph, load) + backward(graph, load)).matmul / tokens


def convention_per_token(graph: Graph, tokens: int) -> int:
    """6N + 12·layers·width·T, attention counted where attention is, windows as min(window, T)."""
    return TRAINING * forward(graph, Load(1, tokens, square=True)).matmul // tokens


def decoding_per_token(graph: Graph, past: int) -> int:
    """Exact matmul FLOPs of the next token after `past` earlier ones."""
    return forward(graph, Load(1, 1, past)).matmul


@frozen
class _Backward:
    """Units walked from their results to their inputs."""

    load: Load
    memo: dict[tuple[Unit, frozenset[str]], tuple[Flops, frozenset[str]]] = field(factory=dict)

    def of_unit(self, unit: Unit, wanted: frozenset[str]) -> tuple[Flops, frozenset[str]]:
        """FLOPs of the lines that `wanted` lines depend on, and the inputs that they depend on."""
        if (unit, wanted) not in self.memo:
            total, lines, inputs = Flops(), set(wanted), set[str]()
            given = {name for name, _ in unit.inputs}
            for line in reversed(unit.lines):
                reached = [line.node] if line.name in lines else []
                while reached:
                    node = reached.pop()
                    if isinstance(node, Read):
                        (inputs if node.name in given else lines).add(node.name)
                        continue
                    flops, parts = self.of_node(node)
                    total += flops
                    reached += parts
            self.memo[unit, wanted] = total, frozenset(inputs)
        return self.memo[unit, wanted]

    def of_node(self, node: Node) -> tuple[Flops, list[Node]]:
        """FLOPs of a node that the logits depend on, and the nodes that they depend on through it."""
        match node:
            case Apply(primitive=primitive, inputs=inputs):
                found = primitive.flops(self.load, node.value, *node.values)
                return Flops(found.weights, found.pairs).times(TRAINING - 1), list(inputs)
            case Enter(unit=inner, inputs=inputs):
                total, reached = self.of_unit(inner, frozenset(inner.results[:1]))
                names = [name for name, _ in inner.inputs]
            case Climb(layers=layers, inputs=inputs):
                total, reached = self.of_layers(layers)
                names = [name for name, _ in layers[0].inputs]
            case _:
                raise AssertionError(node)
        return total, [part for name, part in zip(names, inputs, strict=True) if name in reached]

    def of_layers(self, layers: tuple[Unit, ...]) -> tuple[Flops, frozenset[str]]:
        """From the first result of the last layer down: what enters a layer is what leaves the one below."""
        carried = frozenset(layers[0].results)
        total, wanted, constant = Flops(), frozenset(layers[0].results[:1]), frozenset[str]()
        for layer in reversed(layers):
            flops, reached = self.of_unit(layer, wanted)
            total += flops
            wanted, constant = reached & carried, constant | (reached - carried)
        return total, wanted | constant
