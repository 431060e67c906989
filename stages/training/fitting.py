"""Settle the rows that a device computes at once: what `plan` shows, and what `run` does.

    step = micro_batch(compiled, batch_tokens=524_288, length=2048, rows=None, dtype="auto", on=capacity())

The batch of a step is never another: it is only cut otherwise, into as many micro-batches as memory asks for. Off a
GPU results stay what they are on every machine, with up to eight rows, unless memory holds fewer. Knows nothing of
what has begun already: a run that goes on keeps the rows it began with (`session.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from nanogen.load import Load
from nanogen.planning.search import largest
from runtime.attention_memory import attention
from runtime.capacity import Capacity
from stages.footprint import BATCH, BEGUN, MEMORY, NOTHING, RESULTS, SAID, MicroBatch
from stages.training.pace import MOST_ROWS, accumulation_of, rows_of_batch, sizes

if TYPE_CHECKING:
    from nanogen.compiler import Compiled

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
) -> MicroBatch:
    """How one device cuts its part of a step; raises Fault where the batch does not split so.

    `rows` is what the run file says of it; unsaid, it is the most that divides the batch and fits. As many devices
    share a step as have equal parts of it.
    """
    attends = attention(on.device, on.compiles(compile))
    all_rows = rows_of_batch(batch_tokens, length)
    devices = sizes(all_rows, on.devices)[-1]
    own = all_rows // devices
    if rows is not None:
        rows = min(rows, own) if devices > 1 else rows
        load = Load(rows, length, attention=attends)
        return MicroBatch(load, accumulation_of(own, rows), devices, SAID)
    most = None if on.device == "cuda" else MOST_ROWS
    tried = [
        MicroBatch(Load(n, length, attention=attends), own // n, devices, BATCH if n == own else RESULTS)
        for n in sizes(own, most)
    ]
    if fits(compiled, tried[-1], dtype, on):
        return tried[-1]
    fitting = largest(lambda place: fits(compiled, tried[place - 1], dtype, on), len(tried) - 1)
    if fitting is None:
        return evolve(tried[0], bound=NOTHING)
    return evolve(tried[fitting - 1], bound=MEMORY)


def fits(compiled: Compiled, step: MicroBatch, dtype: str, on: Capacity) -> bool:
    return step.ledger(compiled, on.bytes_of(dtype)).total <= room(on)


def room(on: Capacity) -> int:
    """Bytes of a device that a step may take."""
    return int(NEAR * on.memory)


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
