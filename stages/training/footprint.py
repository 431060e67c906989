"""What a stage takes of a machine: the step that it computes at once, and the bytes that it writes.

All sizes are those of the ledger of `nanogen/answers/memory.py`. Knows nothing of what a machine has.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from nanogen.answers.memory import WIDE, Ledger, ledger, state
from nanogen.answers.parameters import count
from nanogen.answers.parting import Parts, parted, parting
from nanogen.load import Attention, Load
from runtime import optimizer_memory
from runtime.shares import rows_at_once

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.graph import Graph

SAID, BEGUN, BATCH, RESULTS, MEMORY, NOTHING = "said", "begun", "batch", "results", "memory", "nothing"
SAVES = 4  # the two that are kept, the best, and the one that is being written


@frozen
class MicroBatch:
    """What a device computes at once, and how often in a step; None where answers are what says it."""

    load: Load
    accumulation: int | None
    devices: int = 1  # that share a step: each has as many rows, and its part of what the optimizer keeps
    bound: str = SAID  # why it has so many rows; NOTHING: not even one fits
    ranks: int = 1  # that share a step of `load`: each has its part of what the optimizer keeps
    sharded: bool = False  # and of the weights; they then compute each micro-batch in step with each other

    def rows_at_once(self, compiled: Compiled) -> int:
        """Rows that one device has of a micro-batch, at most."""
        if not self.sharded:
            return self.load.rows
        alike = not compiled.graph.dials
        return rows_at_once(self.accumulation or 1, self.load.rows, self.ranks, whole=alike)

    @property
    def together(self) -> int:
        """Devices that work on a step."""
        return max(self.devices, self.ranks)

    @property
    def own_rows(self) -> int:
        """Rows of a whole step that are this device's."""
        return self.load.rows * (self.accumulation or 1)

    def passes(self, compiled: Compiled) -> int:
        """Micro-batches that one device computes in a step."""
        shared = (
            self.sharded
            and not compiled.graph.dials
            and self.accumulation
            and not self.accumulation % self.ranks
        )
        return (self.accumulation or 1) // (self.ranks if shared else 1)

    def ledger(self, compiled: Compiled, run_bytes: int) -> Ledger:
        """Bytes of a step on one device, term by term."""
        rows, load, accumulates = self.rows_at_once(compiled), self.load, self.accumulation != 1
        found = _ledger(compiled.graph, rows, load.tokens, load.attention, run_bytes, accumulates)
        if self.sharded:
            return _parted(found, compiled.graph, run_bytes, self.ranks)
        return evolve(found, optimizer=-(-found.optimizer // self.together))


@lru_cache(maxsize=256)  # a plan asks for the same step when it settles rows, shows them and proposes others
def _ledger(
    graph: Graph, rows: int, tokens: int, attention: Attention | None, run_bytes: int, accumulates: bool
) -> Ledger:
    load = Load(rows, tokens, attention=attention)
    return ledger(graph, load, run_bytes, optimizer_memory, accumulates=accumulates)


def _parted(whole: Ledger, graph: Graph, run_bytes: int, devices: int) -> Ledger:
    parts = parting(graph)
    assert isinstance(parts, Parts), "what cannot lie in parts does not"
    return parted(whole, graph, parts, run_bytes=run_bytes, devices=devices, optimizer=optimizer_memory)


@frozen
class Footprint:
    """Bytes on disk: what stays, and what is there beside it while the stage works."""

    kept: int
    passing: int = 0


def of_training(compiled: Compiled) -> Footprint:
    """A trained model, and the saves before it: weights with all that the optimizer keeps."""
    weights, kept = WIDE * count(compiled.graph), state(compiled.graph, optimizer_memory)
    return Footprint(weights, SAVES * (weights + kept))


def together(stages: Iterable[Footprint]) -> Footprint:
    """All that stays of stages that are done one after the other, and the most that is there beside it."""
    found = list(stages)
    return Footprint(sum(f.kept for f in found), max((f.passing for f in found), default=0))
