"""Settle the rows that a device computes at once: what `plan` shows, and what `run` does.

    step = micro_batch(compiled, batch_tokens=524_288, length=2048, rows=None, dtype="auto", on=capacity())

The batch of a step is never another: it is only cut otherwise, into as many micro-batches as memory asks for. Off a
GPU results stay what they are on every machine, with up to eight rows, unless memory holds fewer. Knows nothing of
what has begun already: a run that goes on keeps the rows it began with (`session.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from nanogen.answers.parting import Undivided, parting
from nanogen.load import Load
from nanogen.planning.search import largest
from nanogen.views.figures import bytes_text
from runtime.attention_memory import attention
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages.training.footprint import BATCH, BEGUN, MEMORY, NOTHING, RESULTS, SAID, MicroBatch
from stages.training.pace import MOST_ROWS, accumulation_of, rows_of_batch, sizes

if TYPE_CHECKING:
    from nanogen.compiler import Compiled

AUTO, WHOLE, SHARDED = WEIGHTS = ("auto", "whole", "sharded")
NEAR = 0.9  # of the memory: what a step takes beside what is counted has to fit, too


def micro_batch(
    compiled: Compiled,
    *,
    batch_tokens: int,
    length: int,
    rows: int | None,
    dtype: str,
    on: Capacity,
    compile: str = "no",
    weights: str = AUTO,
) -> MicroBatch:
    """How one device cuts its part of a step; raises Fault where the batch does not split so.

    `rows` is what the run file says of it; unsaid, it is the most that divides the batch and fits. As many devices
    share a step as have equal parts of it. Where one does not hold all weights, or as `weights` says, they lie in
    parts over all of them, which then compute each micro-batch together.
    """
    row = Load(1, length, attention=attention(on.device, on.compiles(compile)))
    all_rows = rows_of_batch(batch_tokens, length)
    if weights == SHARDED and together(on) > 1:
        check_weights(compiled, weights)
        return _sharded(compiled, all_rows, row, rows, dtype, on)
    found = _whole(compiled, all_rows, row, rows, dtype, on)
    if weights == WHOLE or found.bound not in (NOTHING, SAID) or fits(compiled, found, dtype, on):
        return found
    in_parts = _in_parts_only(compiled, all_rows, row, dtype, on)
    return _sharded(compiled, all_rows, row, rows, dtype, on) if in_parts else found


def _whole(
    compiled: Compiled, all_rows: int, row: Load, rows: int | None, dtype: str, on: Capacity
) -> MicroBatch:
    """Micro-batches of a device that has all weights."""
    devices = sizes(all_rows, on.devices)[-1]
    own = all_rows // devices
    if rows is not None:
        if devices > 1 and all_rows % rows == 0:
            rows = sizes(own, rows)[-1]  # so many of them, or as near as the part of a device splits
        return MicroBatch(evolve(row, rows=rows), accumulation_of(own, rows), devices, SAID, on.ranks)
    most = None if on.device == "cuda" else MOST_ROWS
    tried = [
        MicroBatch(evolve(row, rows=n), own // n, devices, BATCH if n == own else RESULTS, on.ranks)
        for n in sizes(own, most)
    ]
    if fits(compiled, tried[-1], dtype, on):
        return tried[-1]
    fitting = largest(lambda place: fits(compiled, tried[place - 1], dtype, on), len(tried) - 1)
    if fitting is None:
        return evolve(tried[0], bound=NOTHING)
    return evolve(tried[fitting - 1], bound=MEMORY)


def check_weights(compiled: Compiled, weights: str) -> None:
    """Raise Fault where weights are to lie in parts, and cannot."""
    parts = parting(compiled.graph) if weights == SHARDED else None
    if isinstance(parts, Undivided):
        help = "leave `weights` out: each rank then holds all of them"
        raise Fault(f"`weights` is sharded, and the model {parts.why}", help)


def together(on: Capacity) -> int:
    """How many devices train together."""
    return max(on.devices, on.ranks)


def _in_parts_only(compiled: Compiled, all_rows: int, row: Load, dtype: str, on: Capacity) -> bool:
    """Whether a device has no room for all weights, its share of what the optimizer keeps, and one row; parts take less."""
    count = together(on)
    if count == 1 or isinstance(parting(compiled.graph), Undivided):
        return False
    whole = MicroBatch(row, -(-all_rows // count), ranks=count)
    if fits(compiled, whole, dtype, on):
        return False
    parts = evolve(whole, accumulation=all_rows, sharded=True)
    width = on.bytes_of(dtype)
    return parts.ledger(compiled, width).total < whole.ledger(compiled, width).total


def _sharded(
    compiled: Compiled, all_rows: int, row: Load, rows: int | None, dtype: str, on: Capacity
) -> MicroBatch:
    """Micro-batches of a step that ranks compute together, each some rows, or each another one where all are alike."""

    def cut(rows: int, bound: str) -> MicroBatch:
        accumulation = accumulation_of(all_rows, rows)
        return MicroBatch(evolve(row, rows=rows), accumulation, bound=bound, ranks=together(on), sharded=True)

    if rows is not None:
        return cut(rows, SAID)
    most = None if on.device == "cuda" else MOST_ROWS
    tried = [cut(n, BATCH if n == all_rows else RESULTS) for n in sizes(all_rows, most)]
    if fits(compiled, tried[-1], dtype, on):
        return tried[-1]
    # not searched by halves: two cuts of which one is computed by rows and one by micro-batches may fit either way
    fitting = [step for step in tried[:-1] if fits(compiled, step, dtype, on)]
    return evolve(fitting[-1], bound=MEMORY) if fitting else evolve(tried[0], bound=NOTHING)


def fits(compiled: Compiled, step: MicroBatch, dtype: str, on: Capacity) -> bool:
    return step.ledger(compiled, on.bytes_of(dtype)).total <= room(on)


def room(on: Capacity) -> int:
    """Bytes of a device that a step may take."""
    return int(NEAR * on.memory)


def why_sharded(step: MicroBatch, compiled: Compiled, dtype: str, weights: str, on: Capacity) -> str:
    """Why the weights of a step lie in parts."""
    if weights == SHARDED:
        return f"weights sharded over {step.ranks} devices: as the run file says"
    whole = evolve(step, load=evolve(step.load, rows=1), sharded=False)
    taken = bytes_text(whole.ledger(compiled, on.bytes_of(dtype)).total)
    return (
        f"weights sharded over {step.ranks} devices: with all weights on each, one row would take {taken}, "
        f"and a step may take {bytes_text(room(on))}"
    )


def why(step: MicroBatch) -> str:
    """Why a micro-batch has as many rows as it has."""
    rows = step.own_rows
    return {
        SAID: "as the run file says",
        BEGUN: "as the run began",
        BATCH: f"all {rows:,} rows of a batch at once",
        RESULTS: f"the most up to {MOST_ROWS} that divide the {rows:,} rows of a batch: off a GPU results stay the same",
        MEMORY: f"the most that divide the {rows:,} rows of a batch and fit the memory",
        NOTHING: "not even one row fits the memory",
    }[step.bound]
