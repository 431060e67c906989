"""Attention of the last positions of some rows to all that comes before them, a block of queries at a time.

Where the last queries stand at the last keys, a block of queries sees no key behind its own end: half of all pairs
are left out where nothing was read before, and no mask is larger than a block. One operator to a compiler, for the
number of blocks is that of the positions. Knows nothing of what keeps the keys.
"""
# B rows, T positions, C positions kept, H query heads, G key heads, D channels of a head

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128  # queries on a CPU; elsewhere kernels are large enough to see all at once


def attend_at_end(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    """Causal attention: q (B, T, H, D) at the last T of the C positions of k and v (B, C, G, D) -> (B, T, H, D of v)."""
    return torch.ops.nanogen.attend_at_end(q, k, v, scale)


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    queries, keys = q.shape[2], k.shape[2]
    mixed = _empty(q, v)
    place = torch.arange(keys, device=q.device)
    step = BLOCK if q.device.type == "cpu" else queries
    for start in range(0, queries, step):
        part = slice(start, min(start + step, queries))
        first, end = keys - queries + part.start, keys - queries + part.stop
        mixed[:, :, part] = F.scaled_dot_product_attention(
            q[:, :, part],
            k[:, :, :end],
            v[:, :, :end],
            attn_mask=place[:end] <= place[first:end, None],
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )
    return mixed.transpose(1, 2)


def _shape(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
    return _empty(q.transpose(1, 2), v).transpose(1, 2)


def _empty(q: Tensor, v: Tensor) -> Tensor:
    return q.new_empty(*q.shape[:3], v.shape[3])


_library = torch.library.Library("nanogen", "FRAGMENT")  # the operator lives as long as this does
_library.define("attend_at_end(Tensor q, Tensor k, Tensor v, float? scale) -> Tensor")
_library.impl("attend_at_end", _attend, "CompositeExplicitAutograd")
torch.library.register_fake("nanogen::attend_at_end", _shape, lib=_library)
