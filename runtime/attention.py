"""Attention of the last positions of some rows to all that comes before them, without a mask.

A block of queries sees all keys before it, and of its own those up to each: two calls of a kernel, whose results are
joined by the sums that their softmaxes divide by. To a compiler this is one operator, for the number of blocks is that
of the positions. Knows nothing of what keeps the keys.
"""
# B rows, T positions, C positions kept, H query heads, G key heads, D channels of a head

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 256  # queries

Attend = Callable[[Tensor, Tensor, Tensor, float | None], Tensor]


def attend_at_end(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    """Causal attention: q (B, T, H, D) at the last T of the C positions of k and v (B, C, G, D) -> (B, T, H, D of v)."""
    return torch.ops.nanogen.attend_at_end(q, k, v, scale)


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q.contiguous(), k, v))
    if q.device.type != "cpu" or q.shape[3] != v.shape[3]:  # the kernel serves neither
        return _masked(q, k, v, scale).transpose(1, 2)
    mixed = _empty(q, v)
    ahead = k.shape[2] - q.shape[2]
    for start in range(0, q.shape[2], BLOCK):
        queries, own = q[:, :, start : start + BLOCK], slice(ahead + start, ahead + start + BLOCK)
        mixed[:, :, start : start + BLOCK] = _attend_block(queries, k, v, own, scale)
    return mixed.transpose(1, 2)


def _attend_block(q: Tensor, k: Tensor, v: Tensor, own: slice, scale: float | None) -> Tensor:
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    mixed, sums = kernel(q, k[:, :, own], v[:, :, own], is_causal=True, scale=scale)
    if own.start == 0:
        return mixed
    before, sums_before = kernel(q, k[:, :, : own.start], v[:, :, : own.start], scale=scale)
    share = torch.sigmoid(sums_before - sums)[..., None]  # the sums are logarithms
    return torch.lerp(mixed, before, share.to(mixed.dtype))


def _masked(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    place = torch.arange(k.shape[2], device=q.device)
    mask = place <= place[-q.shape[2] :, None]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )


def _shape(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    return _empty(q.transpose(1, 2), v).transpose(1, 2)


def _empty(q: Tensor, v: Tensor) -> Tensor:
    return q.new_empty(*q.shape[:3], v.shape[3])


_library = torch.library.Library("nanogen", "FRAGMENT")  # the operator lives as long as this does
_library.define("attend_at_end(Tensor q, Tensor k, Tensor v, float? scale) -> Tensor")
_library.impl("attend_at_end", _attend, "CompositeExplicitAutograd")
torch.library.register_fake("nanogen::attend_at_end", _shape, lib=_library)
