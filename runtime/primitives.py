"""The torch side of the primitives: the functions and small modules that emitted source calls.

Knows nothing of specs. Every function takes values of shape (B, T, *features) and keeps B and T; the
features that it works on are the last. Parameters are cast to the dtype of what they meet, so that masters
may be float32 and values bfloat16.
"""
# B rows, T positions, C positions kept, H query heads, G key heads, D channels of a head

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Now:
    """What a forward pass knows besides its values: positions, dtype, rotary tables, and the past.

    `past` is None in training; when decoding it is the tree of tensors that the graph's state answers
    describe, and `now[name]` is the same Now at the branch of that name. Primitives write to it in place.
    """

    def __init__(
        self,
        positions: Tensor,
        dtype: torch.dtype,
        tables: dict[str, Any],
        past: Any = None,
        dials: dict[str, int] | None = None,
    ):
        self.positions, self.dtype, self.tables, self.past = positions, dtype, tables, past
        self.dials = dials or {}

    @classmethod
    def start(
        cls,
        tokens: Tensor,
        dtype: torch.dtype = torch.float32,
        positions: Tensor | None = None,
        past: Any = None,
        dials: dict[str, int] | None = None,
    ) -> Now:
        """Begin a pass over `tokens` (B, T); `positions` (1 or B, T) count from 0 unless given."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
        return cls(positions, dtype, {}, past, dials)

    def __getitem__(self, branch: str | int) -> Now:
        if self.past is None:
            return self
        return Now(self.positions, self.dtype, self.tables, self.past[branch], self.dials)

    def turns(self, dial: str, default: int) -> int:
        """How often a loop turns: where its dial stands."""
        return self.dials.get(dial, default)

    def turn(self, number: int) -> Tensor:
        """The number of a turn as an id, so that code compiled for one turn serves all."""
        return torch.full((), number, dtype=torch.int64, device=self.positions.device)


class Linear(nn.Module):
    """(.., inputs) -> (.., outputs); weight (outputs, inputs)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class Embedding(nn.Module):
    """ids (B, T) -> (B, T, channels); weight (rows, channels)."""

    def __init__(self, rows: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, channels))

    def forward(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        return F.embedding(ids, self.weight).to(dtype)


class CausalConv(nn.Module):
    """A filter over its own past for each channel; weight (channels, 1, kernel), the last tap is now.

    Written as a sum of shifted products: a compiler fuses it, and its backward costs what it should, where
    a grouped convolution does neither on CPU.
    """

    def __init__(self, channels: int, kernel: int, bias: bool = False):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None

    def forward(self, x: Tensor, now: Now) -> Tensor:
        features = x.shape[2:]
        taps = self.weight.to(x.dtype).view(*features, self.kernel)
        seen = with_recent(x, self.kernel - 1, now)
        y = seen[:, : x.shape[1]] * taps[..., 0]
        for tap in range(1, self.kernel):
            y = y + seen[:, tap : tap + x.shape[1]] * taps[..., tap]
        return y if self.bias is None else y + self.bias.to(x.dtype).view(features)


class RMSNorm(nn.Module):
    """rms_norm times (offset + gain)."""

    def __init__(self, channels: int, eps: float, offset: float = 0.0):
        super().__init__()
        self.eps, self.offset = eps, offset
        self.gain = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (normed * (self.gain.float() + self.offset)).to(x.dtype)


class LayerNorm(nn.Module):
    """layer_norm with a learned gain, a learned bias, or both."""

    def __init__(self, channels: int, gain: bool, bias: bool, eps: float):
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.empty(channels)) if gain else None
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        gain = None if self.gain is None else self.gain.float()
        bias = None if self.bias is None else self.bias.float()
        return F.layer_norm(x.float(), x.shape[-1:], gain, bias, self.eps).to(x.dtype)


def rms_norm(x: Tensor, eps: float = 2**-23) -> Tensor:
    """x / sqrt(mean(x²) + eps) over the last axis, in float32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def layer_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the last axis, in float32."""
    return F.layer_norm(x.float(), x.shape[-1:], None, None, eps).to(x.dtype)


def l2_norm(x: Tensor, eps: float = 1e-12) -> Tensor:
    """x / sqrt(sum(x²) + eps) over the last axis, in float32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) + eps)).to(x.dtype)


def softmax(x: Tensor) -> Tensor:
    """Over the last axis, in float32."""
    return torch.softmax(x, dim=-1, dtype=torch.float32).to(x.dtype)


def softcap(x: Tensor, cap: float) -> Tensor:
    """cap · tanh(x / cap)."""
    return cap * torch.tanh(x / cap)


def rope_table(
    positions: Tensor, channels: int, *, base: float, direction: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (1 or B, T, channels / 2) of position · base^(-2j / channels)."""
    pair = torch.arange(0, channels, 2, dtype=torch.float32, device=positions.device)
    angle = positions[..., None].float() * (1.0 / base ** (pair / channels))
    return angle.cos().to(dtype), (angle.sin() * direction).to(dtype)


def rope(x: Tensor, table: tuple[Tensor, Tensor], pairs: str = "halves") -> Tensor:
    """Turn the first channels of the last axis by the table's angles, the rest stays."""
    turned = 2 * table[0].shape[-1]
    shape = (*table[0].shape[:2], *[1] * (x.ndim - 3), turned // 2)
    cos, sin = (t.view(shape) for t in table)
    first, rest = x[..., :turned], x[..., turned:]
    if pairs == "halves":
        a, b = first.chunk(2, dim=-1)
        y = torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
    else:
        a, b = first[..., 0::2], first[..., 1::2]
        y = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)
    y = y.to(x.dtype)
    return y if rest.shape[-1] == 0 else torch.cat((y, rest), dim=-1)


def shift(x: Tensor, n: int, now: Now) -> Tensor:
    """The value n positions ago, zeros before the start."""
    return with_recent(x, n, now)[:, : x.shape[1]]


def with_recent(x: Tensor, n: int, now: Now) -> Tensor:
    """x with the n values before it in front (B, n + T, ..): zeros in training, the kept ones in decoding."""
    if n == 0:
        return x
    seen = x if now.past is None else _recall(x, "recent", now)
    lacking = n + x.shape[1] - seen.shape[1]  # a past of less than n positions keeps no more
    return F.pad(seen, (0, 0) * (x.ndim - 2) + (lacking, 0)) if lacking else seen


def _recall(x: Tensor, name: str, now: Now) -> Tensor:
    """Put the kept values in front of x, and keep the last of both."""
    kept = now.past[name]
    seen = torch.cat((kept.to(x.dtype), x), dim=1)
    kept.copy_(seen[:, -kept.shape[1] :])
    return seen


def attend(
    q: Tensor, k: Tensor, v: Tensor, now: Now, window: int | None = None, scale: float | None = None
) -> Tensor:
    """Causal attention: q (B, T, H, D), k and v (B, T, G, D) -> (B, T, H, D of v).

    `window` = keys that a query sees at most, its own included. When decoding, the queries see what the past
    keeps too: every key up to their own, or those of the window before them.
    """
    k, v, mask = k.to(q.dtype), v.to(q.dtype), None
    if now.past is not None:
        k, v, key = _remember(k, v, now, window)
        mask = _seen(now.positions, key, window)[:, None]
    elif window is not None and window < q.shape[1]:
        place = torch.arange(q.shape[1], device=q.device)[None]
        mask = _seen(place, place, window)[:, None]
    heads_first = (t.transpose(1, 2) for t in (q, k, v))
    mixed = F.scaled_dot_product_attention(
        *heads_first,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    return mixed.transpose(1, 2)


def _remember(k: Tensor, v: Tensor, now: Now, window: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Keep keys and values; return all that may be seen, (B, C, G, D), and their positions, (1 or B, C).

    Without a window each has its place for good; with one the last `window - 1` are kept in order.
    """
    if window is None:
        rows = torch.arange(k.shape[0], device=k.device)[:, None]
        for name, new in (("k", k), ("v", v)):
            now.past[name][rows, now.positions] = new.to(now.past[name].dtype)
        k, v = now.past["k"].to(k.dtype), now.past["v"].to(v.dtype)
        return k, v, torch.arange(k.shape[1], device=k.device)[None]
    own = k.shape[1]
    if window > 1:
        k, v = _recall(k, "k", now), _recall(v, "v", now)
    first = now.positions[:, :1] - (k.shape[1] - own)  # below 0 where nothing was kept yet
    return k, v, first + torch.arange(k.shape[1], device=k.device)


def _seen(query: Tensor, key: Tensor, window: int | None) -> Tensor:
    """Which keys (1 or B, C) each query (1 or B, T) sees, by their positions: (1 or B, T, C)."""
    query, key = query[..., None], key[:, None]
    seen = (key >= 0) & (key <= query)
    return seen if window is None else seen & (key > query - window)


def gradients(reached: bool) -> torch.set_grad_enabled:
    """A context in which gradients are recorded where they reach, and are recorded outside."""
    return torch.set_grad_enabled(reached and torch.is_grad_enabled())


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(.., inputs) -> (.., outputs) with a weight (outputs, inputs) that another module owns."""
    return F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def embedding(ids: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """ids (B, T) -> (B, T, channels) from a table (rows, channels) that another module owns."""
    return F.embedding(ids, weight).to(dtype)
