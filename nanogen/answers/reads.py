"""Bytes that decoding must read for one step: the weights once a use, and of each row what it keeps.

Of a table that is looked up in, a row a token is read: that is left out. Weights are in the run's dtype where a matmul
casts them, and float32 where not. Activations are not counted: they stay in caches.
"""

from __future__ import annotations

from nanogen.answers.state import bytes_per_row
from nanogen.graph import Apply, Call, Graph, Unit
from nanogen.load import Load
from nanogen.primitives.lookup import Embedding

WIDE = 4  # bytes of a float32


def weights_read(unit: Unit, load: Load, run_bytes: int) -> int:
    """Bytes of weights that one pass reads: alike layers have their own, and each turn of a loop reads again."""
    total = 0
    for node in unit.nodes:
        if isinstance(node, Apply) and not isinstance(node.primitive, Embedding):
            total += sum(p.count * (run_bytes if p.cast else WIDE) for p in node.used)
        elif isinstance(node, Call):
            inner = sum(weights_read(member, load, run_bytes) for _, member in node.members)
            total += inner * node.turns(load)
    return total


def step_bytes(graph: Graph, load: Load, run_bytes: int) -> int:
    """Bytes of one decoding step of `load.rows` rows, each after `load.past` positions."""
    state = bytes_per_row(graph, load.past + load.tokens, run_bytes, load)
    return weights_read(graph.model, load, run_bytes) + load.rows * state
