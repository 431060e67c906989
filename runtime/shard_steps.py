"""The optimizer of a model whose weights lie in parts over ranks: AdamW on the parts, Muon on matrices made whole.

Each matrix of Muon has an owner, who keeps its momentum. In a step, matrices of one shape come together at their owners,
weights with gradients, are moved there in one stack, and go back to where their parts lie. What is saved is what one
process would have saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from runtime.muon import Variant
from runtime.optimizer import Entry, Optimizer, Rule, check_state
from runtime.sharded import ShardedOptimizer
from runtime.shares import owners
from runtime.weight_shards import WeightShards


class ShardSteps(ShardedOptimizer):
    """What moves the weights of `shards`; to whoever trains, as any optimizer over ranks."""

    def __init__(
        self,
        entries: Sequence[Entry],
        rules: Sequence[Rule],
        shards: WeightShards,
        *,
        dtype: str = "bfloat16",
    ) -> None:
        methods = {rule.name: rule.method for rule in rules}
        self._ranks, self._shards, self._entries = shards.ranks, shards, list(entries)
        muon = [entry for entry in entries if isinstance(methods[entry.group], Variant)]
        self._owner = owners({e.path: shards.shape(e.path) for e in muon}, shards.ranks.count)
        self._all = Optimizer([self._outline(entry) for entry in entries], rules, dtype=dtype)
        cut = [e for e in entries if e.path not in self._owner and shards.part(e.path).numel()]
        self._cut = {e.path: nn.Parameter(shards.part(e.path)) for e in cut}
        self._by_parts = Optimizer(
            [Entry(e.path, e.group, self._cut[e.path]) for e in cut], rules, dtype=dtype
        )
        mine = [e for e in muon if self._owner[e.path] == shards.ranks.rank]
        self._whole = {e.path: self._room(e) for e in mine}
        self._by_wholes = Optimizer(
            [Entry(e.path, e.group, self._whole[e.path]) for e in mine], rules, dtype=dtype
        )
        for matrix in self._whole.values():
            _empty(matrix)
        self._stacks = self._alike(muon)
        self.met = False

    def _outline(self, entry: Entry) -> Entry:
        shape = self._shards.shape(entry.path)
        dtype = entry.parameter.dtype
        return Entry(entry.path, entry.group, nn.Parameter(torch.empty(shape, dtype=dtype, device="meta")))

    def _room(self, entry: Entry) -> nn.Parameter:
        return nn.Parameter(torch.zeros(self._shards.shape(entry.path), device=entry.parameter.device))

    def _alike(self, muon: Sequence[Entry]) -> list[list[Entry]]:
        found: dict[tuple[str, tuple[int, ...]], list[Entry]] = {}
        for entry in muon:
            found.setdefault((entry.group, self._shards.shape(entry.path)), []).append(entry)
        return list(found.values())

    def kept(self) -> dict[str, Tensor]:
        """The state that this rank keeps: the live tensors."""
        return {**self._by_parts.state(), **self._by_wholes.state()}

    @property
    def bytes_of_state(self) -> int:
        return sum(tensor.nbytes for tensor in self.kept().values())

    # -- a step

    def overlap(self) -> None:
        """Gradients of each unit are summed and scattered behind its backward as it is."""

    def arrive(self) -> None:
        """A device that is waited for may wait for the parts of a rank that is gone: that is seen first."""
        self._ranks.total(0.0, patient=not self.met)

    def collect(self, loss: float, *, failed: bool = False) -> float:
        """Add up what is whole everywhere; all parts have their sums already. Returns the sum of the losses."""
        assert not failed, "a rank that runs out of memory where others wait for its parts ends them all"
        (loss,) = self._ranks.total(loss, patient=not self.met)
        self.met, self._shards.patient = True, False
        self._add_up([e.path for e in self._entries if self._shards.rows(e.path) is None])
        for path, piece in self._cut.items():
            piece.data, piece.grad = self._shards.part(path), self._shards.gradient(path)
        return loss

    def _add_up(self, paths: Sequence[str]) -> None:
        """Sum the gradients of whole parameters over all ranks, in one transfer."""
        found = [g for path in paths if (g := self._shards.gradient(path)) is not None]
        if not found:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in found])
        with self._ranks.guarded():
            dist.all_reduce(flat)
        for gradient, total in zip(found, flat.split([g.numel() for g in found]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def gradients(self) -> Iterator[tuple[str, Tensor | None]]:
        """The parts of this rank, summed over all."""
        return ((entry.path, self._shards.gradient(entry.path)) for entry in self._entries)

    def step(self, lr_scale: float, momentum: float, decay_scale: float = 1.0) -> None:
        """Move every parameter that has a gradient, once all ranks have found theirs good."""
        self._ranks.total(0.0)
        self._by_parts.step(lr_scale, momentum, decay_scale)
        for alike in self._stacks:
            self._move(alike, lambda: self._by_wholes.step(lr_scale, momentum, decay_scale))

    @torch.no_grad()
    def _move(self, alike: Sequence[Entry], move: Callable[[], None]) -> None:
        """Bring matrices of one shape to their owners, move them there, and take the parts back."""
        stack = [e.path for e in alike if self._shards.tensors[e.path].grad is not None]
        if not stack:
            return
        weights = self._to_owners(stack, self._shards.part)
        gradients = self._to_owners(stack, self._shards.gradient)
        mine = list(weights)
        for path in mine:
            matrix = self._whole[path]
            matrix.untyped_storage().resize_(matrix.numel() * matrix.itemsize)
            matrix.copy_(weights.pop(path))
            matrix.grad = gradients.pop(path)
        move()
        self._to_parts(stack)
        for path in mine:
            self._whole[path].grad = None
            _empty(self._whole[path])

    def _to_owners(self, stack: Sequence[str], of: Callable[[str], Tensor | None]) -> dict[str, Tensor]:
        """Something of each matrix, made whole by its owner of the rows of all ranks."""
        every = range(self._ranks.count)
        owned = [[path for path in stack if self._owner[path] == rank] for rank in every]
        parts = [[self._flat(of(path)) for path in paths] for paths in owned]
        mine = owned[self._ranks.rank]
        taken = [[self._numbers(path, rank) for path in mine] for rank in every]
        found = self._exchange([part for some in parts for part in some], _sums(parts), list(map(sum, taken)))
        rows = [
            part.split(sizes) for part, sizes in zip(found.split(list(map(sum, taken))), taken, strict=True)
        ]
        return {
            path: torch.cat([rows[rank][n] for rank in every]).view(self._shards.shape(path))
            for n, path in enumerate(mine)
        }

    def _to_parts(self, stack: Sequence[str]) -> None:
        """Moved matrices go back, row by row, to the ranks that keep them."""
        every = range(self._ranks.count)
        owned = [[path for path in stack if self._owner[path] == rank] for rank in every]
        mine, sent = owned[self._ranks.rank], []
        for rank in every:
            rows = [(path, self._shards.rows(path, rank)) for path in mine]
            sent.append(
                [self._flat(self._whole[path][at.first : at.last]) for path, at in rows if at is not None]
            )
        taken = [[self._numbers(path, self._ranks.rank) for path in paths] for paths in owned]
        found = self._exchange([part for some in sent for part in some], _sums(sent), list(map(sum, taken)))
        sizes = [size for some in taken for size in some]
        paths = [path for some in owned for path in some]
        for path, rows in zip(paths, found.split(sizes), strict=True):
            part = self._shards.part(path)
            part.copy_(rows.view_as(part))

    def _exchange(self, sent: Sequence[Tensor], sizes: list[int], taken: list[int]) -> Tensor:
        """Numbers to each rank, and from each."""
        like = self._shards.part(self._entries[0].path)
        flat = torch.cat([*sent]) if sent else like.new_empty(0)
        found = like.new_empty(sum(taken))
        with self._ranks.guarded():
            dist.all_to_all_single(found, flat, taken, sizes)
        return found

    def _numbers(self, path: str, rank: int) -> int:
        """How many numbers of a matrix a rank keeps."""
        at, (_, columns) = self._shards.rows(path, rank), self._shards.shape(path)
        assert at is not None, "Muon moves matrices, and those are cut"
        return (at.last - at.first) * columns

    def _flat(self, tensor: Tensor | None) -> Tensor:
        assert tensor is not None, "all ranks have gradients of the same parameters"
        return tensor.detach().reshape(-1)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for entry in self._entries:
            entry.parameter.grad = None
        self._by_parts.zero_grad()
        self._by_wholes.zero_grad()

    # -- saves

    def state(self) -> dict[str, Tensor]:
        """The state as one process would have it, on CPU; the first rank gets it, and all have to ask for it."""
        mine, found = self.kept(), {}
        entries = {entry.path: entry for entry in self._entries}
        for key, outline in self._all.state().items():
            name, _, path = key.partition("/")
            if path in self._owner:
                tensor = self._from_owner(mine.get(key), outline, entries[path])
            elif name == "step":
                tensor = mine.get(key, torch.zeros(()))  # the first rank has rows of everything
            else:
                tensor = self._shards.whole(path, mine.get(key))
            if self._ranks.leads:
                found[key] = tensor.detach().cpu().clone()
        return found

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Take this rank's part of a whole state; all of it or nothing."""
        check_state(self._all.state(), saved)
        parts = {}
        for key in self._by_parts.state():
            name, _, path = key.partition("/")
            at = self._shards.rows(path)
            parts[key] = saved[key] if at is None or name == "step" else saved[key][at.first : at.last]
        self._by_parts.restore(parts)
        self._by_wholes.restore({key: saved[key] for key in self._by_wholes.state()})


def _empty(matrix: nn.Parameter) -> None:
    """Hand back the memory of a matrix that keeps its shape."""
    matrix.untyped_storage().resize_(0)


def _sums(parts: Sequence[Sequence[Tensor]]) -> list[int]:
    return [sum(part.numel() for part in some) for some in parts]
