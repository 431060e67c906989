"""Memory of a training step, term by term, when run eagerly: what a machine must have for a micro-batch.

The peak is one of two moments. As backward begins, all activations are there, and the gradients of earlier
micro-batches; as the optimizer moves the weights, all gradients and its workspace. Masters are float32. Not
counted: what is small beside these (rotary tables, masks, one layer's passing values), and what a device's
allocator wastes. A compiled step needs less.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attrs import evolve, frozen

from nanogen.answers.parameters import parameters
from nanogen.answers.saved import saved
from nanogen.graph import Apply, Call, Graph, Unit
from nanogen.load import Load

WIDE = 4  # bytes of a float32


class Optimizer(Protocol):
    """What an optimizer keeps and borrows; `runtime.optimizer_memory` is one."""

    def moments(self, role: str) -> int: ...
    def workspace(self, parameters: Iterable[tuple[str, tuple[int, ...]]], itemsize: int) -> int: ...


@frozen
class Ledger:
    """Bytes of each term."""

    weights: int  # float32 masters
    gradients: int
    optimizer: int  # its state
    casts: int  # copies of weights in the run's dtype
    activations: int  # saved for backward
    logits: int  # log-probabilities, and the gradients of both
    workspace: int  # of the optimizer's step
    accumulates: bool  # gradients of earlier micro-batches are there while a later one is computed

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        computing = self.casts + self.activations + self.logits + self.gradients * self.accumulates
        return self.weights + self.optimizer + max(computing, self.gradients + self.workspace)


def ledger(
    graph: Graph, load: Load, run_bytes: int, optimizer: Optimizer, *, accumulates: bool = True
) -> Ledger:
    """The ledger of a step in which `load` is one micro-batch; the run's dtype has `run_bytes`."""
    owned = [placed.parameter for placed in parameters(graph)]
    weights, narrow = sum(p.count for p in owned) * WIDE, run_bytes < WIDE
    return Ledger(
        weights=weights,
        gradients=weights,
        optimizer=sum(p.count * optimizer.moments(p.role) for p in owned) * WIDE,
        casts=casts(graph.model, evolve(load, reached=True)) * run_bytes if narrow else 0,
        activations=saved(graph, load, narrow=narrow).bytes(run_bytes),
        logits=3 * load.rows * load.tokens * graph.vocab * WIDE,
        workspace=optimizer.workspace(((p.role, p.shape) for p in owned), run_bytes),
        accumulates=accumulates,
    )


def casts(unit: Unit, load: Load) -> int:
    """Numbers of the weights' copies in the run's dtype: each use has its own, and each turn that gradients reach."""
    total = 0
    for node in unit.nodes:
        if isinstance(node, Apply):
            total += sum(p.count for p in node.used if p.cast)
        elif isinstance(node, Call):
            total += sum(casts(member, load) for _, member in node.members) * node.turns(load)
    return total


def most_rows(graph: Graph, tokens: int, run_bytes: int, optimizer: Optimizer, memory: int) -> int:
    """Rows of the largest micro-batch whose step fits `memory` bytes, gradients accumulated; 0 if none does."""
    one = ledger(graph, Load(1, tokens), run_bytes, optimizer)
    if one.total > memory:
        return 0
    fixed = one.weights + one.optimizer + one.gradients + one.casts
    return (memory - fixed) // (one.activations + one.logits)
