"""Count the FLOPs of a graph under a load. Knows nothing of torch, files or time.

Two counts, never mixed up. The exact one takes each matmul as it is, attention over the keys that a causal
query sees, windows included; training adds the backward of each matmul that the logits depend on, which is two
more: every value depends on parameters, so both sides have a gradient. The convention that the field quotes,
6N + 12·layers·width·T (PaLM, arXiv 2204.02311, appendix B), takes N = weights that multiply (embeddings apart),
and attention as if every query saw all T keys.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from nanogen.answers.backward import TIMES, Only, backward
from nanogen.graph import Apply, Call, Climb, Graph, Unit
from nanogen.load import Flops, Load
from nanogen.primitives import Parameter
from nanogen.primitives.lookup import Bare, Embedding

Dials = Mapping[str, int]


def forward(graph: Graph, load: Load, only: Only | None = None) -> Flops:
    """FLOPs of one forward pass; with `load.reached`, of the part that gradients reach."""
    return of_unit(graph.model, load, only=only)


def of_unit(unit: Unit, load: Load, memo: dict[Unit, Flops] | None = None, only: Only | None = None) -> Flops:
    """FLOPs of one module, layer or turn; alike units are counted once and multiplied."""
    memo = {} if memo is None else memo
    if unit not in memo:
        total = Flops()
        for node in unit.nodes:
            if isinstance(node, Apply):
                if only is None or only(node):
                    total += node.primitive.flops(load, node.value, *node.values)
            elif isinstance(node, Call):
                inner = sum((of_unit(member, load, memo, only) for _, member in node.members), Flops())
                total += inner.times(node.turns(load))
        memo[unit] = total
    return memo[unit]


def training(graph: Graph, load: Load, only: Only | None = None) -> Flops:
    """Exact FLOPs of a forward pass and of its backward, which ends where gradients do; of `only` some, if given."""
    return forward(graph, load, only) + backward(graph, load, only)


def training_per_token(graph: Graph, tokens: int, dials: Dials | None = None) -> float:
    """Exact matmul FLOPs of training, a token, in rows of `tokens`."""
    return training(graph, Load(1, tokens, dials=dials or {})).matmul / tokens


def convention_per_token(
    graph: Graph, tokens: int, dials: Dials | None = None, *, truncated: bool = False
) -> int:
    """6N + 12·layers·width·T, attention counted where attention is, windows as min(window, T).

    `truncated` counts the backward pass of a loop over the turns that gradients reach, which the field's
    estimators do not.
    """
    load = Load(1, tokens, square=True, dials=dials or {})
    reached = evolve(load, reached=truncated)
    return (_by_convention(graph, load) + TIMES * _by_convention(graph, reached)) // tokens


def _by_convention(graph: Graph, load: Load) -> int:
    """Matmuls, and the gains and biases of layers, which the convention counts among the weights of a block."""
    return forward(graph, load).matmul + 2 * load.rows * load.tokens * _beside(graph.model, load, False)


def _beside(unit: Unit, load: Load, in_layer: bool) -> int:
    total = 0
    for node in unit.nodes:
        if isinstance(node, Apply) and in_layer:
            total += sum(p.count for p in node.used if _multiplies_each(node, p))
        elif isinstance(node, Call):
            layer = in_layer or isinstance(node, Climb)
            inner = sum(_beside(member, load, layer) for _, member in node.members)
            total += inner * node.turns(load)
    return total


def _multiplies_each(node: Apply, parameter: Parameter) -> bool:
    """Whether the matmuls leave a parameter out that a block is counted with: a gain, a bias."""
    return not isinstance(node.primitive, Embedding | Bare) and parameter.name != "weight"


def decoding_per_token(graph: Graph, past: int, dials: Dials | None = None) -> int:
    """Exact matmul FLOPs of the next token after `past` earlier ones."""
    return forward(graph, Load(1, 1, past, dials=dials or {})).matmul
