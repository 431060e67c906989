"""When attention is written out in blocks of queries, which blocks these are, and what they keep for backward.

`block_attention.py` computes by it, and memory is counted by it before a run: it loads no torch.
"""

from __future__ import annotations

from attrs import frozen

BLOCK = 64  # queries
LONGEST = 512  # positions of a row


def in_blocks(tokens: int, device: str, compiled: bool) -> bool:
    """Whether rows of so many positions, with nothing before them, are attended so."""
    return compiled and device == "cpu" and BLOCK <= tokens <= LONGEST


def blocks(tokens: int, window: int | None) -> list[tuple[int, int, int]]:
    """First query, end of the queries, and first key of each block; its keys end where its queries do."""
    starts = range(0, tokens, BLOCK)
    earlier = tokens if window is None else window - 1
    return [(start, min(start + BLOCK, tokens), max(0, start - earlier)) for start in starts]


@frozen
class Kept:
    """What a row keeps: numbers a query head, by dtype, and positions of keys and of values."""

    run: int
    wide: int  # in float32
    keys: int


@frozen
class Blocks:
    """How a device attends whose compiled code does it in blocks, for the ledger."""

    def kept(self, tokens: int, window: int | None, narrow: bool) -> Kept | None:
        """What torch's compiler leaves for backward; None where a kernel makes all of it again.

        Each block has its own copy of the keys and values that it meets. Of a pair it keeps the weight: in float32,
        and where the run's dtype is `narrow` as that, too. Of the first block there are the score and the weight, both
        in the run's dtype, and two numbers a query by which the softmax is made again.
        """
        if not in_blocks(tokens, "cpu", compiled=True):
            return None
        found = blocks(tokens, window)
        pairs = [(end - start) * (end - first) for start, end, first in found]
        keys = sum(end - first for _, end, first in found)
        if not narrow:
            return Kept(0, sum(pairs), keys)
        return Kept(sum(pairs) + pairs[0], sum(pairs[1:]) + 2 * found[0][1], keys)


def attention(device: str, compiled: bool) -> Blocks | None:
    """None where attention is a kernel's affair, whatever the rows."""
    return Blocks() if device == "cpu" and compiled else None
