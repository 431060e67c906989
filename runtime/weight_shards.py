"""A model whose weights lie in parts over ranks: each keeps rows of every matrix, and a layer is whole while it computes.

Torch's `fully_shard` does it, one unit a layer: a unit's weights are gathered before its forward and its backward, in
the dtype that it computes in, and its gradients are summed and scattered behind it, in float32. Parts are float32
masters. What belongs to no unit is gathered in float32 from the start of a pass to the end of its backward: the ending
among it, which is computed in chunks outside of any module. Vectors stay whole. Inside, a unit may be compiled. Knows
nothing of optimizers, files or stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from runtime.faults import Fault
from runtime.initialization import fill
from runtime.primitives import Embedding
from runtime.ranks import Joined
from runtime.reduction import all_gather, reduce_scatter
from runtime.shares import Slice, slice_of
from runtime.streams import stream

WIDE = MixedPrecisionPolicy(cast_forward_inputs=False)


class WeightShards:
    """The parts that this rank keeps of a model, which comes in without memory (`outline`).

    `units` are paths of modules that are gathered by themselves: nobody reads their weights but they.
    """

    def __init__(
        self,
        model: nn.Module,
        ranks: Joined,
        units: Sequence[str],
        *,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        self.model, self.ranks = model, ranks
        # until all have come through a step: before, ranks compile for as long as they like
        self.patient = True
        self._shapes = {path: tuple(p.shape) for path, p in model.named_parameters()}
        _split(model, ranks, units, dtype, torch.device(device).type)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                self._join(module)
        model.to_empty(device=device)
        self.tensors: dict[str, Any] = dict(model.named_parameters())  # by path: parts, and what is whole

    def _join(self, module: Any) -> None:
        """Sums, not means, and our own collectives: they tell a rank that is gone."""
        module.set_force_sum_reduction_for_comms(True)
        module.set_gradient_divide_factor(1.0)
        module.set_custom_all_gather(_Gather(self))
        module.set_custom_reduce_scatter(_Scatter(self))

    # -- parts

    def rows(self, path: str, rank: int | None = None) -> Slice | None:
        """The rows of a matrix that a rank keeps, this one unless said; None of what is whole everywhere."""
        if not isinstance(self.tensors[path], DTensor):
            return None
        return slice_of(self._shapes[path][0], self.ranks.rank if rank is None else rank, self.ranks.count)

    def shape(self, path: str) -> tuple[int, ...]:
        """That of the whole."""
        return self._shapes[path]

    def part(self, path: str) -> Tensor:
        """What this rank keeps of a parameter: the memory that is gathered from."""
        tensor = self.tensors[path].detach()
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor

    def gradient(self, path: str) -> Tensor | None:
        """The part of its gradient that this rank has."""
        found = self.tensors[path].grad
        return found.to_local() if isinstance(found, DTensor) else found

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        return ((path, self.part(path)) for path in self.tensors)

    # -- wholes

    def whole(self, path: str, part: Tensor | None) -> Tensor:
        """Something that is cut as a parameter is, made whole of the parts of all ranks; all have to ask for it."""
        shape, at = self._shapes[path], self.rows(path)
        if at is None:
            assert part is not None, "what is whole everywhere is here"
            return part
        device = self.tensors[path].device
        own = torch.zeros((at.part, *shape[1:]), device=device)
        if part is not None:
            own[: len(part)] = part
        found = own.new_empty((at.part * self.ranks.count, *shape[1:]))
        with self.ranks.guarded():
            all_gather(found, own)
        return found[: shape[0]]

    def weights(self) -> dict[str, Tensor]:
        """All weights on CPU: the first rank gets them, one after the other, and all have to ask for them."""
        found = {}
        for path, part in self.parts():
            whole = self.whole(path, part)
            if self.ranks.leads:
                found[path] = whole.cpu().clone()
        return found

    @torch.no_grad()
    def load(self, weights: dict[str, Tensor]) -> None:
        """Take this rank's parts of whole weights; raises Fault where names or shapes differ."""
        self._check(weights)
        self._let_go()
        for path, tensor in weights.items():
            at = self.rows(path)
            self.part(path).copy_(tensor if at is None else tensor[at.first : at.last])

    def _check(self, weights: dict[str, Tensor]) -> None:
        help = "load the weights with the spec they were trained with"
        if differing := sorted(self._shapes.keys() ^ weights.keys()):
            message = f"{len(differing)} tensors do not pair up with the model: `{differing[0]}` and more"
            raise Fault(message, help)
        for path, shape in self._shapes.items():
            if tuple(weights[path].shape) != shape:
                message = f"`{path}` is {shape} in the model and {tuple(weights[path].shape)} in the file"
                raise Fault(message, help)

    def initialize(self, blueprint: dict[str, Any], *, seed: int) -> None:
        """Fill every parameter as one process would: one is whole at a time, and this rank's rows are kept."""
        for p in blueprint["parameters"]:
            drawn = torch.empty(tuple(p["shape"]))
            fill(drawn, p["init"], stream(seed, "init", p["path"]))
            at = self.rows(p["path"])
            self.part(p["path"]).copy_(drawn if at is None else drawn[at.first : at.last])

    def _let_go(self) -> None:
        """Forget what an evaluation has left gathered: other weights come."""
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def _split(model: nn.Module, ranks: Joined, units: Sequence[str], dtype: torch.dtype, device: str) -> None:
    """Have torch cut the matrices of a model by rows, unit by unit."""
    mesh = init_device_mesh(device, (ranks.count,))
    vectors = {p for p in model.parameters() if p.ndim < 2}  # small, and some are read in float32
    narrow = WIDE
    if dtype != torch.float32:
        narrow = MixedPrecisionPolicy(
            param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    for path in units:
        unit = model.get_submodule(path)
        policy = WIDE if isinstance(unit, Embedding) else narrow  # what is looked up is summed in float32
        fully_shard(unit, mesh=mesh, mp_policy=policy, reshard_after_forward=True, ignored_params=vectors)
    fully_shard(model, mesh=mesh, mp_policy=WIDE, reshard_after_forward=False, ignored_params=vectors)
    register_fsdp_forward_method(model, "_layers")


class _Plain:
    """Memory for a collective, from where all memory comes."""

    def __init__(self, shards: WeightShards) -> None:
        self._shards = shards

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def _group(self, group: Any) -> Any:
        """While ranks may compile, they wait for each other as long as that takes."""
        ranks = self._shards.ranks
        if not self._shards.patient:
            return group
        if dist.get_backend(group) == "gloo":
            return ranks.slow
        ranks.meet()
        return group

    def _done(self, work: Any, group: Any) -> Any:
        """Gloo is waited for here, where what it says of a rank that is gone is understood."""
        if work is not None and dist.get_backend(group) == "gloo":
            work.wait()
            return None
        return work


class _Gather(_Plain):
    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: Any, async_op: bool = False
    ) -> Any:
        with self._shards.ranks.guarded():
            group = self._group(group)
            return self._done(all_gather(output_tensor, input_tensor, group=group, async_op=async_op), group)


class _Scatter(_Plain):
    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: Any, op: Any, async_op: bool = False
    ) -> Any:
        with self._shards.ranks.guarded():
            group = self._group(group)
            work = reduce_scatter(output_tensor, input_tensor, op=op, group=group, async_op=async_op)
            return self._done(work, group)
