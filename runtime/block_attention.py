"""Causal attention written out block by block of queries, for a compiler on CPU: no block meets keys it never sees.

Over rows of some hundreds of positions this takes about half the time of PyTorch's kernel there and back. It keeps
the weights of all pairs for backward, where the kernel makes them again, so rows that are longer are left to that.
"""
# B rows, T positions, H query heads, G key heads, S = H / G, D channels of a head

from __future__ import annotations

import torch
from torch import Tensor

from runtime.attention_memory import blocks, in_blocks


def pays(q: Tensor) -> bool:
    """Whether attention of queries (B, T, H, D) with all that came before is faster so."""
    return in_blocks(q.shape[1], q.device.type, torch.compiler.is_compiling())


def attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, window: int | None = None, scale: float | None = None
) -> Tensor:
    """q (B, T, H, D), k and v (B, T, G, D) -> (B, T, H, D of v); of the window, each query's own position counts."""
    tokens, groups, shared = q.shape[1], k.shape[2], q.shape[2] // k.shape[2]
    by_group = q.unflatten(2, (groups, shared)).permute(0, 2, 3, 1, 4)  # B, G, S, T, D
    keys, values = k.transpose(1, 2), v.transpose(1, 2)  # B, G, T, D
    factor: float = q.shape[-1] ** -0.5 if scale is None else scale
    mixed = []
    for start, end, first in blocks(tokens, window):
        scores = by_group[..., start:end, :].flatten(2, 3) @ keys[:, :, first:end].mT
        query = torch.arange(start, end, device=q.device)[:, None]
        key = torch.arange(first, end, device=q.device)[None]
        hidden = key > query if window is None else (key > query) | (key <= query - window)
        scores = (scores.float() * factor).unflatten(2, (shared, end - start))
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1).to(v.dtype)
        mixed.append((weights.flatten(2, 3) @ values[:, :, first:end]).unflatten(2, (shared, end - start)))
    return torch.cat(mixed, dim=3).permute(0, 3, 1, 2, 4).flatten(2, 3)
