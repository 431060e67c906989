"""How a training step is cut: rows, micro-batches, and how many steps there are. Numbers only."""

from __future__ import annotations

from attrs import frozen

from runtime.faults import Fault

MOST_ROWS = 8  # of a micro-batch where results are to be the same on every machine


@frozen
class Pace:
    """Steps and batches, all numbers settled."""

    steps: int
    length: int  # tokens of a row
    rows: int  # of a micro-batch
    accumulation: int  # micro-batches of a step

    @property
    def step_rows(self) -> int:
        return self.rows * self.accumulation

    @property
    def step_tokens(self) -> int:
        return self.length * self.step_rows


def row_length(length: int | None, context: int) -> int:
    """Tokens of a row; raises Fault where that is more than the context."""
    if length is not None and length > context:
        raise Fault(f"`length` is {length:,} tokens, and the model's context is {context:,}", "lower it")
    return length or context


def rows_of_batch(batch_tokens: int, length: int) -> int:
    """All rows of a step; raises Fault where they are not whole."""
    if batch_tokens % length:
        near = max(length, round(batch_tokens / length) * length)
        message = f"`batch_tokens` is {batch_tokens:,}, which is not whole rows of {length:,} tokens"
        raise Fault(message, f"{near:,} would be")
    return batch_tokens // length


def check_cut(batch_tokens: int, length: int, rows: int | None) -> None:
    """Raise Fault where a batch does not split into rows, or not into the micro-batches that are asked for."""
    accumulation_of(rows_of_batch(batch_tokens, length), rows or 1)


def accumulation_of(all_rows: int, rows: int) -> int:
    """Micro-batches of a step; raises Fault where they do not divide it."""
    if all_rows % rows:
        message = f"`rows` is {rows}, and a batch of {all_rows:,} rows does not split into such micro-batches"
        raise Fault(message, "it has to divide the batch")
    return all_rows // rows


def sizes(all_rows: int, most: int | None = None) -> list[int]:
    """Rows that micro-batches may have, rising: those that divide a batch, up to `most`."""
    small = [n for n in range(1, int(all_rows**0.5) + 1) if all_rows % n == 0]
    found = sorted({*small, *(all_rows // n for n in small)})
    return [n for n in found if most is None or n <= most]
