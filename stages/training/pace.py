"""How a training step is cut: rows, micro-batches, and how many steps there are. Numbers only."""

from __future__ import annotations

from attrs import frozen

from runtime.faults import Fault

MOST_ROWS = 8  # of a micro-batch, unless the run says otherwise


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


def cut(batch_tokens: int, length: int, rows: int | None) -> tuple[int, int]:
    """Rows of a micro-batch, and micro-batches of a step; raises Fault where they do not divide."""
    if batch_tokens % length:
        near = max(length, round(batch_tokens / length) * length)
        message = f"`batch_tokens` is {batch_tokens:,}, which is not whole rows of {length:,} tokens"
        raise Fault(message, f"{near:,} would be")
    all_rows = batch_tokens // length
    rows = rows or max(r for r in range(1, min(MOST_ROWS, all_rows) + 1) if all_rows % r == 0)
    if all_rows % rows:
        message = f"`rows` is {rows}, and a batch of {all_rows:,} rows does not split into such micro-batches"
        raise Fault(message, "it has to divide the batch")
    return rows, all_rows // rows
