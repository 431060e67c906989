"""Memory of a training step, term by term, when run eagerly: what a machine must have for a micro-batch.

The peak is one of two moments. As backward begins, all activations are there, and the gradients of earlier
micro-batches; as the optimizer moves the weights, all gradients and its workspace. Masters are float32. Not
counted: what is small beside these (rotary tables, masks, one layer's passing values), and what a device's
allocator wastes. A compiled step needs less; but what it keeps of attention, where the load says that it does that in
blocks, is counted.

Where a model's ending comes apart by position, backward begins with the last chunk of the loss: the layers'
activations are there, the logits of that chunk, and the gradients that the chunks before it left.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from attrs import evolve, frozen

from nanogen.answers.ending import Ending, crossing, ending, front
from nanogen.answers.parameters import parameters
from nanogen.answers.saved import saved
from nanogen.graph import Apply, Call, Graph, Unit
from nanogen.load import Attention, Load

WIDE = 4  # bytes of a float32
PASSING = 3  # values of the widest shape that are there at once as the gradient of one is made


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
    logits: (
        int  # log-probabilities, and the gradients of both: of all positions, or of those computed at once
    )
    ending: int  # gradients of what the layers left and of the weights behind it; 0 where logits are whole
    passing: (
        int  # what comes and goes beside the logits of a chunk, or in a layer's backward: the larger of both
    )
    workspace: int  # of the optimizer's step
    accumulates: bool  # gradients of earlier micro-batches are there while a later one is computed
    gathered: int = (
        0  # weights made whole of the parts of several devices, from the start of a pass to its end
    )
    layer: int = 0  # and those of a layer while it computes, with its gradients

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.weights + self.optimizer + max(self.computing, self.gradients + self.workspace)

    @property
    def computing(self) -> int:
        """Bytes beside weights and the optimizer's state as backward begins."""
        found = self.casts + self.activations + self.loss + self.gradients * self.accumulates
        return found + self.gathered + self.layer * self.in_layer

    @property
    def loss(self) -> int:
        """Bytes of logits and of all that comes with them."""
        return self.ending + (self.passing if self.in_layer else self.logits)

    @property
    def in_layer(self) -> bool:
        """Whether the most is there in a layer's backward, and not as the loss is made."""
        return self.passing + self.layer > self.logits


def ledger(
    graph: Graph, load: Load, run_bytes: int, optimizer: Optimizer, *, accumulates: bool = True
) -> Ledger:
    """The ledger of a step in which `load` is one micro-batch; the run's dtype has `run_bytes`."""
    owned = [placed.parameter for placed in parameters(graph)]
    weights, narrow = sum(p.count for p in owned) * WIDE, run_bytes < WIDE
    found = ending(graph)
    whole = not isinstance(found, Ending)
    kept = saved(graph if whole else front(graph), load, narrow=narrow).bytes(run_bytes)
    logits, left, passing = 3 * load.rows * load.tokens * graph.vocab * WIDE, 0, 0
    if not whole:
        values = run_bytes * sum(load.elements(value) for value in crossing(graph.model))
        logits = _chunk(graph, found, load, run_bytes) + values
        left = values + WIDE * _sizes(graph, found)
        passing = PASSING * widest(front(graph).model, load, run_bytes)
    return Ledger(
        weights=weights,
        gradients=weights,
        optimizer=state(graph, optimizer),
        casts=casts(graph.model, evolve(load, reached=True)) * run_bytes if narrow else 0,
        activations=kept,
        logits=logits,
        ending=left,
        passing=passing,
        workspace=optimizer.workspace(((p.role, p.shape) for p in owned), run_bytes),
        accumulates=accumulates,
    )


def state(graph: Graph, optimizer: Optimizer) -> int:
    """Bytes that the optimizer keeps."""
    return sum(p.parameter.count * optimizer.moments(p.parameter.role) for p in parameters(graph)) * WIDE


def _chunk(graph: Graph, found: Ending, load: Load, run_bytes: int) -> int:
    """Bytes of one chunk of the loss: what the ending keeps of it, and its logits."""
    tokens = found.chunk(load.rows * load.tokens)
    return _of_ending(graph, tokens, run_bytes) + 3 * tokens * graph.vocab * WIDE


@lru_cache(maxsize=64)  # chunks are of one size, however many rows there are
def _of_ending(graph: Graph, tokens: int, run_bytes: int) -> int:
    """Bytes that the ending keeps of so many positions."""
    one, narrow = Load(1, tokens), run_bytes < WIDE
    whole, layers = (saved(g, one, narrow=narrow).bytes(run_bytes) for g in (graph, front(graph)))
    return whole - layers


def _sizes(graph: Graph, found: Ending) -> int:
    """Numbers of the ending's weights."""
    sizes = {placed.path: placed.parameter.count for placed in parameters(graph)}
    return sum(sizes[weight.path] for weight in found.weights)


def widest(unit: Unit, load: Load, run_bytes: int) -> int:
    """Bytes of the largest value that a primitive makes of positions, anywhere."""
    most = 0
    for node in unit.nodes:
        if isinstance(node, Apply) and node.value.timed:
            each = WIDE if node.value.dtype == "float32" else run_bytes
            most = max(most, each * load.elements(node.value))
        elif isinstance(node, Call):
            most = max([most, *(widest(member, load, run_bytes) for _, member in node.members)])
    return most


def casts(unit: Unit, load: Load) -> int:
    """Numbers of the weights' copies in the run's dtype: each use has its own, and each turn that gradients reach."""
    total = 0
    for node in unit.nodes:
        if isinstance(node, Apply):
            total += sum(p.count for p in node.used if p.cast)
        elif isinstance(node, Call):
            total += sum(casts(member, load) for _, member in node.members) * node.turns(load)
    return total


def most_rows(
    graph: Graph,
    tokens: int,
    run_bytes: int,
    optimizer: Optimizer,
    memory: int,
    attention: Attention | None = None,
) -> int:
    """Rows of the largest micro-batch whose step fits `memory` bytes, gradients accumulated; 0 if none does."""
    least, most = 0, 1

    def fits(rows: int) -> bool:
        load = Load(rows, tokens, attention=attention)
        return ledger(graph, load, run_bytes, optimizer).total <= memory

    while fits(most):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least
