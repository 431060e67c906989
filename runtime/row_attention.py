"""Causal attention of whole rows to themselves: by torch's kernel, and within a window some queries at a time.

A kernel that is handed a mask computes every pair and throws most of them away, on CPU, CUDA and MPS alike. A part of
the queries meets the keys of its windows and no others: work and masks grow with the window, and not with the square
of the row.
"""
# B rows, T positions, H query heads, G key heads, D channels of a head

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.block_attention import attend_in_blocks, pays

PART = 256  # queries; the fastest of 128, 256 and 512 on CPU for windows of 128 to 512
MOST = 16  # parts: a compiler writes each out


def attend_alone(q: Tensor, k: Tensor, v: Tensor, window: int | None, scale: float | None) -> Tensor:
    """q (B, T, H, D), k and v (B, T, G, D) -> (B, T, H, D of v); each query's own position counts in its window."""
    if pays(q):
        return attend_in_blocks(q, k, v, window, scale)
    if window is not None and window < q.shape[1]:
        return attend_in_parts(q, k, v, window, scale)
    heads_first = (t.transpose(1, 2) for t in (q, k, v))
    shared = q.shape[2] != k.shape[2]
    mixed = F.scaled_dot_product_attention(*heads_first, is_causal=True, scale=scale, enable_gqa=shared)
    return mixed.transpose(1, 2)


def attend_in_parts(q: Tensor, k: Tensor, v: Tensor, window: int, scale: float | None = None) -> Tensor:
    """The same within a window."""
    queries, keys, values = (t.transpose(1, 2) for t in (q, k, v))
    shared, tokens = q.shape[2] != k.shape[2], q.shape[1]
    mixed, size = [], max(PART, -(-tokens // MOST))
    for start in range(0, tokens, size):
        end, first = min(start + size, tokens), max(0, start - window + 1)
        plain = start == 0 and end <= window  # nothing is out of a window yet
        mixed.append(
            F.scaled_dot_product_attention(
                queries[:, :, start:end],
                keys[:, :, first:end],
                values[:, :, first:end],
                attn_mask=None if plain else within(start, end, first, window, q.device),
                is_causal=plain,
                scale=scale,
                enable_gqa=shared,
            )
        )
    return (torch.cat(mixed, dim=2) if len(mixed) > 1 else mixed[0]).transpose(1, 2)


def within(start: int, end: int, first: int, window: int, device: torch.device) -> Tensor:
    """Which keys from `first` on each query from `start` on sees."""
    query = torch.arange(start, end, device=device)[:, None]
    key = torch.arange(first, end, device=device)[None]
    return (key <= query) & (key > query - window)
