"""Add up gradients over ranks, each sum where it is needed, and hand moved weights to all: in buckets, behind the work.

A bucket holds parameters of one owner, whose gradients are reduced to it, or parameters that are cut, whose gradients
are reduced and scattered. In the last backward pass of a step a bucket is sent off as soon as all its gradients are
there. All ranks send them in one order, the order in which a backward pass reaches them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from attrs import define, field, frozen
from torch import Tensor, nn

from runtime.ranks import Joined
from runtime.shares import slice_of

BUCKET = 2**22  # numbers: 16 MiB, enough that starting a transfer costs little


@frozen(eq=False)
class Member:
    """A parameter in a bucket: where it stands there, and how many numbers it takes of each rank's part."""

    parameter: nn.Parameter
    start: int
    part: int


@define(eq=False)
class Bucket:
    """Parameters that travel together: to `owner`, or cut to all ranks."""

    owner: int | None
    members: list[Member] = field(factory=list)
    missing: int = 0  # members whose gradient is still to come
    sent: Tensor | None = None
    mine: Tensor | None = None  # what comes back to this rank
    work: Any = None

    @property
    def part(self) -> int:
        return sum(member.part for member in self.members)


def _collective(new: str, old: str) -> Callable[..., Any]:
    """A collective by its name of today or, in an older torch, of yesterday."""
    return getattr(dist, new, None) or getattr(dist, old)


reduce_scatter = _collective("reduce_scatter_single", "reduce_scatter_tensor")
all_gather = _collective("all_gather_single", "all_gather_into_tensor")


def make_buckets(
    parameters: Sequence[nn.Parameter], owner_of: Mapping[nn.Parameter, int], count: int, most: int
) -> list[Bucket]:
    """Buckets in the order in which a backward pass fills them, which is that of the model turned round."""
    open_ones: dict[int | None, Bucket] = {}
    done: list[Bucket] = []
    for parameter in reversed(parameters):
        owner = owner_of.get(parameter)
        bucket = open_ones.setdefault(owner, Bucket(owner))
        numbers = parameter.numel()
        part = numbers if owner is not None else slice_of(numbers, 0, count).part
        bucket.members.append(Member(parameter, bucket.part, part))
        if bucket.part * (count if owner is None else 1) >= most:
            done.append(open_ones.pop(owner))
    return [*done, *open_ones.values()]


class Reduction:
    """The gradients of a model on their way between ranks, and its weights on their way back."""

    def __init__(
        self,
        ranks: Joined,
        parameters: Sequence[nn.Parameter],
        owner_of: Mapping[nn.Parameter, int],
        *,
        most: int = BUCKET,
    ) -> None:
        self._ranks, self._parameters = ranks, list(parameters)
        self.buckets = make_buckets(self._parameters, owner_of, ranks.count, most)
        self._bucket_of = {m.parameter: bucket for bucket in self.buckets for m in bucket.members}
        self._overlapping, self._next = False, 0
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._arrived)

    def overlap(self) -> None:
        """From here on gradients are final as they arrive: the last backward pass of the step begins."""
        self._overlapping = True

    def _arrived(self, parameter: Any) -> None:
        if not self._overlapping:
            return
        self._bucket_of[parameter].missing -= 1
        while self._next < len(self.buckets) and self.buckets[self._next].missing <= 0:
            self._send(self.buckets[self._next])

    def present(self) -> list[bool]:
        """Which parameters have a gradient here; to be asked before any is sent off."""
        return [
            parameter.grad is not None or self._bucket_of[parameter].sent is not None
            for parameter in self._parameters
        ]

    def start(self) -> None:
        """Begin a step."""
        self._overlapping, self._next = False, 0
        for bucket in self.buckets:
            bucket.missing, bucket.sent, bucket.mine, bucket.work = len(bucket.members), None, None, None

    def send_rest(self) -> None:
        """Send off what has not been: a gradient that is not there counts as zeros."""
        self._overlapping = False
        while self._next < len(self.buckets):
            self._send(self.buckets[self._next])

    def _send(self, bucket: Bucket) -> None:
        count, rank = self._ranks.count, self._ranks.rank
        rows = count if bucket.owner is None else 1
        bucket.sent = _flat(bucket, rows, lambda p: p.grad)
        for member in bucket.members:
            member.parameter.grad = None
        with self._ranks.guarded():
            if bucket.owner is None:
                bucket.mine = bucket.sent.new_empty(bucket.part)
                bucket.work = reduce_scatter(bucket.mine, bucket.sent.view(-1), async_op=True)
            else:
                bucket.mine = bucket.sent.view(-1) if bucket.owner == rank else None
                bucket.work = dist.reduce(bucket.sent, bucket.owner, async_op=True)
        self._next += 1  # not where memory was too small for it: the others wait for this one

    def collect(self) -> dict[nn.Parameter, Tensor]:
        """Wait for all sums; returns those of this rank, flat: whole parameters, or its slices with what fills them up."""
        found = {}
        for bucket in self.buckets:
            if bucket.work is None:  # never sent: a step that is dropped
                continue
            with self._ranks.guarded():
                bucket.work.wait()
            if bucket.mine is not None:
                for m in bucket.members:
                    found[m.parameter] = bucket.mine[m.start : m.start + m.part]
            bucket.sent = bucket.mine = bucket.work = None
        return found

    @torch.no_grad()
    def spread(self) -> None:
        """Hand the weights that each rank has moved to all others."""
        count, rank = self._ranks.count, self._ranks.rank
        for bucket in self.buckets:
            rows = count if bucket.owner is None else 1
            bucket.sent = _flat(bucket, rows, lambda p: p)
            with self._ranks.guarded():
                if bucket.owner is None:
                    mine = bucket.sent[rank].clone()
                    bucket.work = all_gather(bucket.sent.view(-1), mine, async_op=True)
                else:
                    bucket.work = dist.broadcast(bucket.sent, bucket.owner, async_op=True)
        for bucket in self.buckets:
            with self._ranks.guarded():
                bucket.work.wait()
            assert bucket.sent is not None
            for m in bucket.members:
                whole = bucket.sent[:, m.start : m.start + m.part].reshape(-1)[: m.parameter.numel()]
                if whole.data_ptr() != m.parameter.data_ptr():
                    m.parameter.copy_(whole.view_as(m.parameter))
            bucket.sent = bucket.work = None


def _flat(bucket: Bucket, rows: int, of: Callable[[nn.Parameter], Tensor | None]) -> Tensor:
    """Tensors of all members, a row for each rank that takes a part; zeros where there is none, and to fill up."""
    like = bucket.members[0].parameter
    if rows == 1 and len(bucket.members) == 1 and (alone := of(like)) is not None and alone.is_contiguous():
        return alone.detach().view(1, -1)  # as it lies
    flat = torch.zeros((rows, bucket.part), dtype=like.dtype, device=like.device)
    for m in bucket.members:
        tensor = of(m.parameter)
        if tensor is None:
            continue
        numbers = tensor.detach().reshape(-1)
        if rows == 1:
            flat[0, m.start : m.start + m.part] = numbers
            continue
        full, left = divmod(len(numbers), m.part)
        flat[:full, m.start : m.start + m.part] = numbers[: full * m.part].view(full, m.part)
        if left:
            flat[full, m.start : m.start + left] = numbers[full * m.part :]
    return flat
