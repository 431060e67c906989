"""What a stage takes of a machine: the step that it computes at once, and the bytes that it writes.

All sizes are those of the ledger of `nanogen/answers/memory.py`. Knows nothing of what a machine has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from nanogen.answers.memory import Ledger, ledger
from nanogen.load import Load
from runtime import optimizer_memory

if TYPE_CHECKING:
    from nanogen.compiler import Compiled

SAVES = 4  # the two that are kept, the best, and the one that is being written


@frozen
class MicroBatch:
    """What a step computes at once, and how often; None where answers are what says it."""

    load: Load
    accumulation: int | None

    def ledger(self, compiled: Compiled, run_bytes: int) -> Ledger:
        """Bytes of a step, term by term."""
        return ledger(
            compiled.graph, self.load, run_bytes, optimizer_memory, accumulates=self.accumulation != 1
        )


@frozen
class Footprint:
    """Bytes on disk: what stays, and what is there beside it while the stage works."""

    kept: int
    passing: int = 0


def of_training(compiled: Compiled) -> Footprint:
    """A trained model, and the saves before it: weights with all that the optimizer keeps."""
    found = MicroBatch(Load(1, 1), 1).ledger(compiled, 4)
    return Footprint(found.weights, SAVES * (found.weights + found.optimizer))
