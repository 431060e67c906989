"""The optimizer of a model over ranks: each moves its share and keeps the state of that alone; all have all weights.

What is saved is what one process would have saved, and what one process saved is read by any number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from runtime.faults import TooLarge
from runtime.muon import Variant
from runtime.optimizer import Entry, Group, Optimizer, Rule, check_state
from runtime.ranks import Joined
from runtime.reduction import BUCKET, Reduction, all_gather
from runtime.shares import Slice, owners, slice_of


class ShardedOptimizer:
    """AdamW by slices and Muon by whole matrices, over the ranks of `ranks`."""

    def __init__(
        self,
        entries: Sequence[Entry],
        rules: Sequence[Rule],
        ranks: Joined,
        *,
        dtype: str = "bfloat16",
        bucket: int = BUCKET,
    ) -> None:
        methods = {rule.name: rule.method for rule in rules}
        whole = {e.path: tuple(e.parameter.shape) for e in entries if isinstance(methods[e.group], Variant)}
        self._ranks, self._entries = ranks, list(entries)
        self._owner = owners(whole, ranks.count)
        # of the whole model, without memory: what one process would have, for its groups and names and shapes
        self._all = Optimizer([_outline(entry) for entry in entries], rules, dtype=dtype)
        self._moved = {entry.path: piece for entry in entries if (piece := self._piece(entry)) is not None}
        mine = [Entry(e.path, e.group, self._moved[e.path]) for e in entries if e.path in self._moved]
        self._mine = Optimizer(mine, rules, dtype=dtype)
        owner_of = {e.parameter: self._owner[e.path] for e in entries if e.path in self._owner}
        self._reduction = Reduction(ranks, [e.parameter for e in entries], owner_of, most=bucket)
        self._reduction.start()
        self.met = (
            False  # whether all have come through a step: from then on none takes much longer than another
        )

    def _piece(self, entry: Entry) -> nn.Parameter | None:
        """What this rank moves of a parameter: the same memory."""
        if entry.path in self._owner:
            return entry.parameter if self._owner[entry.path] == self._ranks.rank else None
        at = self._slice(entry)
        return (
            nn.Parameter(entry.parameter.detach().view(-1)[at.first : at.last])
            if at.last > at.first
            else None
        )

    def _slice(self, entry: Entry) -> Slice:
        return slice_of(entry.parameter.numel(), self._ranks.rank, self._ranks.count)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self._all.groups

    @property
    def bytes_of_state(self) -> int:
        """What this rank keeps."""
        return sum(tensor.nbytes for tensor in self._mine.state().values())

    # -- a step

    def overlap(self) -> None:
        """The last backward pass of the step begins: gradients are sent off as they arrive.

        Not in the first step of a process, in which ranks compile for as long as they like.
        """
        if self.met:
            self._reduction.overlap()

    def arrive(self) -> None:
        """All backward passes are made, and the device is about to be waited for: here it waits for no other rank."""

    def collect(self, loss: float, *, failed: bool = False) -> float:
        """Bring the gradients of all ranks to those who need them; returns the sum of their losses.

        Only then is anything waited for that a device does, so that a rank that is gone is seen first. A rank that
        `failed`, having had too little memory, says so with its loss: all come to the end of what is on its way, drop
        it, and raise TooLarge.
        """
        told, present = (loss, float(failed)), [float(there) for there in self._reduction.present()]
        if self.met:
            self._reduction.send_rest()
            loss, failures, *flags = self._ranks.total(*told, *present)
        else:
            loss, failures, *flags = self._ranks.total(*told, *present, patient=True)
            if not failures:
                self._reduction.send_rest()
        if failures:
            self._reduction.collect()
            self.zero_grad()
            raise TooLarge
        self.met = True
        sums = self._reduction.collect()
        for entry, flag in zip(self._entries, flags, strict=True):
            piece = self._moved.get(entry.path)
            if piece is not None:  # a parameter that no rank has a gradient of stays as it is
                piece.grad = sums[entry.parameter][: piece.numel()].view_as(piece) if flag else None
        return loss

    def gradients(self) -> Iterator[tuple[str, Tensor | None]]:
        """Those that this rank moves by, summed over all."""
        return ((path, piece.grad) for path, piece in self._moved.items())

    def step(self, lr_scale: float, momentum: float, decay_scale: float = 1.0) -> None:
        """Move every parameter that has a gradient, once all ranks have found theirs good."""
        self._ranks.total(0.0)
        self._mine.step(lr_scale, momentum, decay_scale)
        self._reduction.spread()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for entry in self._entries:
            entry.parameter.grad = None
        self._mine.zero_grad()
        self._reduction.start()

    def kept(self) -> dict[str, Tensor]:
        """The state that this rank keeps: the live tensors."""
        return self._mine.state()

    # -- saves

    def state(self) -> dict[str, Tensor]:
        """The state as one process would have it, on CPU; the first rank gets it, and all have to ask for it."""
        mine, found = self._mine.state(), {}
        parameters = {entry.path: entry for entry in self._entries}
        for key, outline in self._all.state().items():
            name, _, path = key.partition("/")
            entry = parameters[path]
            if path in self._owner:
                tensor = self._from_owner(mine.get(key), outline, entry)
            elif name == "step":
                tensor = mine.get(key, torch.zeros(()))  # the first slice is never empty
            else:
                tensor = self._from_slices(mine.get(key), outline, entry)
            if self._ranks.leads:
                found[key] = tensor.detach().cpu().clone()
        return found

    def _from_owner(self, mine: Tensor | None, outline: Tensor, entry: Entry) -> Tensor:
        there = entry.parameter.device
        tensor = mine.contiguous() if mine is not None else torch.empty_like(outline, device=there)
        with self._ranks.guarded():
            dist.broadcast(tensor, self._owner[entry.path])
        return tensor

    def _from_slices(self, mine: Tensor | None, outline: Tensor, entry: Entry) -> Tensor:
        part = self._slice(entry).part
        own = torch.zeros(part, dtype=outline.dtype, device=entry.parameter.device)
        if mine is not None:
            own[: len(mine)] = mine
        whole = own.new_empty(part * self._ranks.count)
        with self._ranks.guarded():
            all_gather(whole, own)
        return whole[: outline.numel()].view(outline.shape)

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Take this rank's share of a whole state; all of it or nothing."""
        check_state(self._all.state(), saved)
        entries = {entry.path: entry for entry in self._entries}
        mine = {}
        for key in self._mine.state():
            name, _, path = key.partition("/")
            if path in self._owner or name == "step":
                mine[key] = saved[key]
            else:
                at = self._slice(entries[path])
                mine[key] = saved[key].reshape(-1)[at.first : at.last]
        self._mine.restore(mine)


def _outline(entry: Entry) -> Entry:
    parameter = entry.parameter
    return Entry(entry.path, entry.group, nn.Parameter(torch.empty_like(parameter, device="meta")))
