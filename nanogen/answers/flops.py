"""Count the FLOPs of a graph under a load. Knows nothing of torch, files or time.

Two counts, never mixed up. The exact one takes each matmul as it is, attention over the keys that a causal
query sees, windows included; training is the forward pass and its backward, which takes each matmul twice:
once for the gradient of either side. That is exact where all that is multiplied depends on parameters, and the
logits on it. Every value of a spec does the first; what leaves the last layer of a stack beside its result does not do
the second, and its backward is counted though autograd leaves it out. The convention that the field quotes, 6N + 12·layers·width·T (PaLM, arXiv 2204.02311, appendix B), takes N = weights that
multiply (embeddings apart), and attention as if every query saw all T keys.
"""

from __future__ import annotations

from nanogen.graph import Apply, Climb, Enter, Graph, Unit, nodes
from nanogen.load import Flops, Load

TRAINING = 3  # forward once, backward twice: gradients of the weights and of the inputs


def forward(graph: Graph, load: Load) -> Flops:
    """FLOPs of one forward pass."""
    return of_unit(graph.model, load)


def backward(graph: Graph, load: Load) -> Flops:
    """Matmul FLOPs from the gradient of the logits to those of all parameters."""
    found = forward(graph, load)
    return Flops(found.weights, found.pairs).times(TRAINING - 1)


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
