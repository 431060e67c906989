"""What decoding keeps of the positions it has seen: rows of tensors, allocated as the graph's state answers say.

A whole past keeps every position at its own place; a window's is a ring, and convolutions and shifts keep the
last few in order. What writes to them are the primitives. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from runtime.dials import Dials
from runtime.faults import Fault
from runtime.model import Blueprint

# B rows, C positions kept

RECENT = "recent"  # the state of convolutions and shifts: in order, and not at the place of its position


def allocate_past(
    blueprint: Blueprint,
    *,
    rows: int,
    capacity: int,
    dtype: torch.dtype,
    device: str | torch.device = "cpu",
    dials: Dials | None = None,
    turns_kept: int | None = None,
) -> Any:
    """Return the tree of zeros (B, C, ..) for `rows` rows of `capacity` positions.

    A loop has a tree for each of its turns; `dials` says how many there are. With `turns_kept` it has that many
    at most, and turn t shares the one of t % turns_kept: cheaper, and no longer what was trained.
    """

    def branch(tree: Any) -> Any:
        if isinstance(tree, list):
            return [branch(t) for t in tree]
        if "turn" in tree:  # a loop: no equation can have this name
            times = turns(blueprint, tree["times"], dials)
            own = [branch(tree["turn"]) for _ in range(min(times, turns_kept or times))]
            return [own[turn % len(own)] for turn in range(times)]
        if "positions" in tree:  # a leaf: no equation can have this name
            return _zeros(tree, rows, capacity, dtype, device)
        return {name: branch(t) for name, t in tree.items()}

    return branch(blueprint["state"])


def turns(blueprint: Blueprint, times: int | str, dials: Dials | None) -> int:
    """How often a loop turns: a number, or where its dial stands."""
    if isinstance(times, int):
        return times
    default: int = blueprint["dials"][times]["default"]
    return (dials or {}).get(times, default)


def _zeros(leaf: dict, rows: int, capacity: int, dtype: torch.dtype, device: str | torch.device) -> Tensor:
    # null: every position that a row may reach; else the last few, and never more than it may reach
    positions = capacity if leaf["positions"] is None else min(leaf["positions"], capacity)
    kept = torch.float32 if leaf["dtype"] == "float32" else dtype
    *outer, last = leaf["axes"] or [1]
    # in memory positions stand next to the last axis: attention reads the past a head at a time
    made = torch.zeros(rows, *outer, positions, last, dtype=kept, device=device).movedim(-2, 1)
    return made if leaf["axes"] else made.squeeze(-1)


def check_shareable(blueprint: Blueprint) -> None:
    """Raise Fault where turns cannot share their state: there are none, or they keep the last few in order."""
    loops = list(_loops(blueprint["state"]))
    if not loops:
        raise Fault("the model has no loop whose turns could share their state")
    if any(leaf["positions"] is not None for loop in loops for leaf in _described(loop["turn"])):
        message = (
            "turns share the state of whole attention only, and this loop has windows, convolutions or shifts"
        )
        raise Fault(message, "leave the state to each turn, as the model was trained")


def _loops(tree: Any) -> Iterator[dict]:
    if isinstance(tree, dict) and "turn" in tree:
        yield tree
    for branch in _branches(tree):
        yield from _loops(branch)


def _described(tree: Any) -> Iterator[dict]:
    if isinstance(tree, dict) and "positions" in tree:
        yield tree
    else:
        for branch in _branches(tree):
            yield from _described(branch)


def _branches(tree: Any) -> list:
    return list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else []


@frozen(eq=False)
class Past:
    """The past of up to `rows` rows, and ways to look at, copy and empty them."""

    blueprint: Blueprint
    rows: int
    capacity: int
    dtype: torch.dtype
    device: torch.device
    dials: Dials = field(factory=dict)
    turns_kept: int | None = None
    tree: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        made = allocate_past(
            self.blueprint,
            rows=self.rows,
            capacity=self.capacity,
            dtype=self.dtype,
            device=self.device,
            dials=self.dials,
            turns_kept=self.turns_kept,
        )
        object.__setattr__(self, "tree", made)

    def resized(self, rows: int) -> Past:
        """The same rows, and room for others."""
        made = Past(self.blueprint, rows, self.capacity, self.dtype, self.device, self.dials, self.turns_kept)
        kept = min(rows, self.rows)
        for (new, _), (old, _) in zip(made.leaves(), self.leaves(), strict=True):
            new[:kept].copy_(old[:kept])
        return made

    def first(self, rows: int, positions: int, *, growing: bool = False) -> Any:
        """A view of the first rows, and of the first positions where each has its place.

        `growing` tells a compiler that there will be views of other sizes.
        """
        seen: dict[int, Tensor] = {}

        def look(leaf: Tensor, whole: bool) -> Tensor:
            if id(leaf) not in seen:  # turns that share a state go on sharing it
                seen[id(leaf)] = leaf[:rows, :positions] if whole else leaf[:rows]
                for axis in (0, 1) if growing else ():
                    if (rows > 1, whole)[axis]:
                        torch._dynamo.maybe_mark_dynamic(seen[id(leaf)], axis)
            return seen[id(leaf)]

        return self._mapped(look)

    def between(self, first: int, last: int, positions: int) -> Any:
        """A view of the rows from `first` to before `last`, and of the first positions where each has its place."""
        return self._mapped(lambda leaf, whole: leaf[first:last, : positions if whole else None])

    def copy_row(self, row: int, source: Past, theirs: int, positions: int) -> None:
        """Make a row the copy of another one, which has seen so many positions."""
        for (mine, whole), (other, _) in zip(self.leaves(), source.leaves(), strict=True):
            seen = positions if whole else mine.shape[1]
            mine[row, :seen].copy_(other[theirs, :seen])

    def clear_row(self, row: int, positions: int) -> None:
        """Empty a row that has seen so many: masks hide it from who comes next, but no mask holds against a NaN."""
        for leaf, whole in self.leaves():
            leaf[row, : positions if whole else None].zero_()

    def leaves(self) -> list[tuple[Tensor, bool]]:
        """Every tensor once, and whether each position has its place in it for good."""
        found: dict[int, tuple[Tensor, bool]] = {}
        self._mapped(lambda leaf, whole: found.setdefault(id(leaf), (leaf, whole)))
        return list(found.values())

    def _mapped(self, change: Callable[[Tensor, bool], Any]) -> Any:
        """The tree with each leaf changed, which is told whether each position has its place in it for good."""

        def at(described: Any, tree: Any, name: str) -> Any:
            if isinstance(described, list):
                return [at(d, t, "") for d, t in zip(described, tree, strict=True)]
            if "turn" in described:
                return [at(described["turn"], turn, "") for turn in tree]
            if "positions" in described:
                # a ring that no row goes around is none
                return change(
                    tree, name != RECENT and (described["positions"] or self.capacity) >= self.capacity
                )
            return {name: at(d, tree[name], name) for name, d in described.items()}

        return at(self.blueprint["state"], self.tree, "")
