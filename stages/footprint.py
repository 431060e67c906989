"""What a stage takes of a machine: the step that it computes at once, and the bytes that it writes.

All sizes are those of the ledger of `nanogen/answers/memory.py`. Knows nothing of what a machine has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from nanogen.answers.memory import Ledger, ledger
from nanogen.answers.parting import Parts, parted, parting
from nanogen.load import Load
from runtime import optimizer_memory
from runtime.shares import rows_at_once

if TYPE_CHECKING:
    from nanogen.compiler import Compiled

SAID, BEGUN, BATCH, RESULTS, MEMORY, NOTHING = "said", "begun", "batch", "results", "memory", "nothing"
SAVES = 4  # the two that are kept, the best, and the one that is being written


@frozen
class MicroBatch:
    """What a device computes at once, and how often in a step; None where answers are what says it."""

    load: Load
    accumulation: int | None
    devices: int = 1  # that share a step: each has as many rows, and its part of what the optimizer keeps
    bound: str = SAID  # why it has so many rows; NOTHING: not even one fits
    ranks: int = (
        1  # that share a step whose rows are those of all: each keeps its part of what the optimizer keeps
    )
    sharded: bool = False  # and of the weights; they then compute each micro-batch in step with each other

    def rows_at_once(self, compiled: Compiled) -> int:
        """Rows that one device has of a micro-batch, at most."""
        if not self.sharded:
            return self.load.rows
        alike = not compiled.graph.dials
        return rows_at_once(self.accumulation or 1, self.load.rows, self.ranks, whole=alike)

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
        load = evolve(self.load, rows=self.rows_at_once(compiled))
        accumulates = self.accumulation != 1
        found = ledger(compiled.graph, load, run_bytes, optimizer_memory, accumulates=accumulates)
        if self.sharded:
            parts = parting(compiled.graph)
            assert isinstance(parts, Parts), "what cannot lie in parts does not"
            return parted(
                found,
                compiled.graph,
                parts,
                run_bytes=run_bytes,
                devices=self.ranks,
                optimizer=optimizer_memory,
            )
        return evolve(found, optimizer=-(-found.optimizer // max(self.devices, self.ranks)))


@frozen
class Footprint:
    """Bytes on disk: what stays, and what is there beside it while the stage works."""

    kept: int
    passing: int = 0


def of_training(compiled: Compiled) -> Footprint:
    """A trained model, and the saves before it: weights with all that the optimizer keeps."""
    found = MicroBatch(Load(1, 1), 1).ledger(compiled, 4)
    return Footprint(found.weights, SAVES * (found.weights + found.optimizer))


def together(stages: Iterable[Footprint]) -> Footprint:
    """All that stays of stages that are done one after the other, and the most that is there beside it."""
    found = list(stages)
    return Footprint(sum(f.kept for f in found), max((f.passing for f in found), default=0))
