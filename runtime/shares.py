"""Who moves what: each parameter whole by one rank, or a slice of it by every rank. Numbers only.

Matrices that Muon moves stay whole, and go to ranks so that all have about as much; the rest is cut evenly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen


@frozen
class Slice:
    """A rank's part of a parameter that is cut: its numbers, of those of all ranks `part` each but at the end."""

    first: int
    last: int
    part: int  # numbers of every rank, with what fills up the last ones


def slice_of(numbers: int, rank: int, count: int) -> Slice:
    part = -(-numbers // count)
    return Slice(min(rank * part, numbers), min((rank + 1) * part, numbers), part)


def owners(sizes: Mapping[str, tuple[int, ...]], count: int) -> dict[str, int]:
    """The rank of each whole matrix, by path: the largest first, each to whoever has the least.

    Matrices of one shape stand together in that order, and are so dealt out evenly: they are computed in one stack.
    """
    loads, found = [0] * count, {}
    order = sorted(sizes, key=lambda path: (-_numbers(sizes[path]), sizes[path]))
    for path in order:
        rank = loads.index(min(loads))
        found[path] = rank
        loads[rank] += _numbers(sizes[path])
    return found


def _numbers(shape: Sequence[int]) -> int:
    found = 1
    for size in shape:
        found *= size
    return found


def at_once(micros: int, rows: int, count: int, *, whole: bool = False) -> int:
    """The most rows that a rank computes at once, of so many micro-batches of so many rows."""
    return rows if whole or micros % count == 0 else -(-rows // count)


def smaller(all_rows: int, rows: int, count: int, *, whole: bool = False) -> int | None:
    """The next smaller micro-batch: the most rows that divide a step and of which a rank computes at most half as many at once.

    None where it computes one already.
    """
    most = at_once(all_rows // rows, rows, count, whole=whole) // 2
    fewer = (n for n in range(rows - 1, 0, -1) if all_rows % n == 0)
    return next((n for n in fewer if at_once(all_rows // n, n, count, whole=whole) <= most), None)


def share_of_step(micros: int, rows: int, rank: int, count: int, *, whole: bool = False) -> dict[int, slice]:
    """The rows of each micro-batch of a step that a rank computes; those of which it computes none are left out.

    Whole micro-batches where they come out even or have to stay `whole`, or else some rows of each. All are numbered
    over the whole step, so that what is drawn for one does not depend on how many ranks there are.
    """
    if whole or micros % count == 0:
        return {micro: slice(0, rows) for micro in range(rank, micros, count)}
    return {micro: slice(rank, rows, count) for micro in range(micros) if rank < rows}


def even_share(micros: int, rows: int, rank: int, count: int, *, whole: bool) -> dict[int, slice]:
    """The same where ranks compute in step with each other: all have equally many micro-batches, perhaps without rows.

    `whole`: micro-batches are computed alike, so that ranks may have others at the same time.
    """
    if whole and micros % count == 0:
        return {micro: slice(0, rows) for micro in range(rank, micros, count)}
    return {micro: slice(rank, rows, count) for micro in range(micros)}


def rows_at_once(micros: int, rows: int, count: int, *, whole: bool) -> int:
    """The most rows of a micro-batch that a rank has by an even share."""
    return rows if whole and micros % count == 0 else -(-rows // count)
