"""The torch side of the primitives: the functions and small modules that emitted source calls.

Knows nothing of specs. Every function takes values of shape (B, T, *features) and keeps B and T; the features that it
works on are the last. Parameters are cast to the dtype of what they meet: float32 masters, bfloat16 values.
"""
# B rows, T positions, C positions kept, H query heads, G key heads, D channels of a head

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.counter import place_below, root, words
from runtime.row_attention import attend_alone


class Now:
    """What a forward pass knows besides its values: positions, dtype, rotary tables, the past, and the seed.

    `past` is None in training; when decoding it is the tree of tensors that the graph's state answers
    describe, and `now[name]` is the same Now at the branch of that name. Primitives write to it in place.
    What a model draws follows from `seed`, the `rows` (B, 1; counted from 0 unless given), the positions, and
    the `place`: the branches that led there. A model that draws nothing has no place.
    """

    def __init__(
        self,
        positions: Tensor,
        dtype: torch.dtype,
        tables: dict[str, Any],
        past: Any,
        dials: dict[str, int],
        *,
        training: bool = False,
        seed: int | Tensor = 0,
        rows: Tensor | None = None,
        place: Tensor | None = None,
        at_end: Any = None,
    ):
        self.positions, self.dtype, self.tables, self.past = positions, dtype, tables, past
        self.dials = dials  # not looked into here: code compiled where they stood would hold for there alone
        self.training, self.seed, self.rows, self.place = training, seed, rows, place
        self.at_end = at_end

    @classmethod
    def start(
        cls,
        tokens: Tensor,
        dtype: torch.dtype = torch.float32,
        positions: Tensor | None = None,
        past: Any = None,
        dials: dict[str, int] | None = None,
        *,
        training: bool = False,
        seed: int | Tensor = 0,
        rows: Tensor | None = None,
        at_end: Any = None,
    ) -> Now:
        """Begin a pass over `tokens` (B, T); `positions` (1 or B, T) count from 0 unless given.

        `at_end` attends where a whole past ends with these positions in every row, which needs no mask.
        """
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
        known: Any = {"training": training, "seed": seed, "rows": rows, "at_end": at_end}
        return cls(positions, dtype, {}, past, dials or {}, **known)

    def keyed(self) -> Now:
        """The same at the root of all places, for a model that draws."""
        return self._at(self.past, root(self.seed, self.positions.device))

    def __getitem__(self, branch: str | int) -> Now:
        if self.past is None and self.place is None:
            return self
        past = None if self.past is None else self.past[branch]
        return self._at(past, None if self.place is None else place_below(self.place, branch))

    def _at(self, past: Any, place: Tensor | None) -> Now:
        return Now(
            self.positions,
            self.dtype,
            self.tables,
            past,
            self.dials,
            training=self.training,
            seed=self.seed,
            rows=self.rows,
            place=place,
            at_end=self.at_end,
        )

    def turns(self, dial: str, default: int) -> int:
        """How often a loop turns: where its dial stands."""
        return self.dials.get(dial, default)

    def turn(self, number: int) -> Tensor:
        """The number of a turn as an id, so that code compiled for one turn serves all."""
        return torch.full((), number, dtype=torch.int64, device=self.positions.device)

    def words(self, x: Tensor) -> Tensor:
        """Random whole numbers below 2**32 in the shape of x (B, T, ..), which this place has to itself."""
        assert self.place is not None, "a model that draws begins with a keyed Now"
        rows = torch.arange(x.shape[0], device=x.device)[:, None] if self.rows is None else self.rows
        return words(self.place, rows, self.positions, tuple(x.shape[2:]))


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


def noise(x: Tensor, std: float, now: Now, cut: float | None = None) -> Tensor:
    """Draws of normal(0, std) in the shape of x, none further out than cut · std."""
    share = 1.0 if cut is None else math.erf(cut / math.sqrt(2))
    middle = (now.words(x) >> 9).float() * 2**-22 - (1 - 2**-23)  # 2**23 values between -1 and 1, all exact
    return (torch.erfinv(middle * share) * (math.sqrt(2) * std)).to(x.dtype)


def dropout(x: Tensor, p: float, now: Now) -> Tensor:
    """In training, zero with chance p and x / (1 - p) otherwise; else x."""
    if not now.training:
        return x
    stays = now.words(x) >= round(p * 2**32)
    return x * stays.to(x.dtype) / (1 - p)


def rope_table(
    positions: Tensor,
    channels: int,
    *,
    base: float,
    direction: int,
    dtype: torch.dtype,
    scaling: str | None = None,
    **numbers: float,
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (1 or B, T, channels / 2) of position · base^(-2j / channels), perhaps slowed."""
    pair = torch.arange(0, channels, 2, dtype=torch.float32, device=positions.device)
    speed = 1.0 / base ** (pair / channels)
    if scaling is not None:
        speed = {"linear": _slowed, "llama3": _slowed_where_long}[scaling](speed, **numbers)
    angle = positions[..., None].float() * speed
    return angle.cos().to(dtype), (angle.sin() * direction).to(dtype)


def _slowed(speed: Tensor, factor: float) -> Tensor:
    """All pairs turn slower by a factor."""
    return speed / factor


def _slowed_where_long(speed: Tensor, factor: float, low: float, high: float, original: float) -> Tensor:
    """Llama 3.1: pairs that turn less than `low` times in `original` positions are slowed by a factor, those
    that turn more than `high` times are not, and those between by a blend of both.
    """
    wave = 2 * math.pi / speed
    share = (original / wave - low) / (high - low)
    blend = (1 - share) * speed / factor + share * speed
    slowed = torch.where(wave > original / low, speed / factor, speed)
    return torch.where((wave <= original / low) & (wave >= original / high), blend, slowed)


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
    seen = x
    if now.past is not None:
        kept = now.past["recent"]
        seen = torch.cat((kept.to(x.dtype), x), dim=1)
        kept.copy_(seen[:, -kept.shape[1] :])
    lacking = n + x.shape[1] - seen.shape[1]  # a past of less than n positions keeps no more
    return F.pad(seen, (0, 0) * (x.ndim - 2) + (lacking, 0)) if lacking else seen


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    now: Now,
    window: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Causal attention: q (B, T, H, D), k and v (B, T, G, D) -> (B, T, H, D of v).

    `window` = keys that a query sees at most, its own included. When decoding, the queries see what the past
    keeps too: every key up to their own, or those of the window before them. `softcap` bounds the scores;
    `sinks` (H) are logits that join each head's softmax and take no value.
    """
    k, v = k.to(q.dtype), v.to(q.dtype)
    if now.at_end is not None and window is None and softcap is None and sinks is None:
        k, v, _ = _remember(k, v, now, window)
        return now.at_end(q, k, v, scale)
    fused = q.shape[1] == 1 and now.past is not None and torch.compiler.is_compiling()
    explicit = fused or softcap is not None or sinks is not None
    if now.past is None and not explicit:
        return attend_alone(q, k, v, window, scale)
    if now.past is not None:
        k, v, key = _remember(k, v, now, window)
        mask = _seen(now.positions, key, window)[:, None]
    else:
        place = torch.arange(q.shape[1], device=q.device)[None]
        mask = _seen(place, place, window)[:, None]
    if explicit:
        return _attend_by_scores(q, k, v, mask, scale, softcap, sinks, fused)
    heads_first = (t.transpose(1, 2) for t in (q, k, v))
    shared = q.shape[2] != k.shape[2]
    mixed = F.scaled_dot_product_attention(*heads_first, attn_mask=mask, scale=scale, enable_gqa=shared)
    return mixed.transpose(1, 2)


def _attend_by_scores(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor,
    scale: float | None,
    cap: float | None,
    sinks: Tensor | None,
    fused: bool,
) -> Tensor:
    """Attention written out, for what no kernel has; mask (1 or B, 1, T, C). Softmax in float32.

    `fused` writes products as sums, which a compiler makes one pass over the keys and one over the values: of
    one query, reading them is the whole cost.
    """
    rows, tokens, heads, channels = q.shape
    groups, shared = k.shape[2], heads // k.shape[2]
    by_group = q.unflatten(2, (groups, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)  # B, G, H / G · T, D
    keys, values = k.transpose(1, 2), v.transpose(1, 2)  # B, G, C, D
    if fused:
        scores = (by_group[..., None, :].float() * keys[:, :, None].float()).sum(-1)
    else:
        scores = (by_group @ keys.mT).float()
    scores = scores.view(rows, heads, tokens, -1)
    scores = scores * (channels**-0.5 if scale is None else scale)
    if cap is not None:
        scores = softcap(scores, cap)
    scores = scores.masked_fill(~mask, -torch.inf)
    if sinks is not None:
        sink = sinks.float().view(1, heads, 1, 1).expand(rows, -1, tokens, -1)
        scores = torch.cat((scores, sink), dim=-1)
    if fused:
        mixed = _weighted_sums(scores, values)
    else:
        weights = torch.softmax(scores, dim=-1)[..., : k.shape[1]].to(v.dtype)
        mixed = weights.view(rows, groups, shared * tokens, -1) @ values
    return mixed.view(rows, heads, tokens, -1).transpose(1, 2)


def _weighted_sums(scores: Tensor, values: Tensor) -> Tensor:
    """Softmax of scores (B, H, 1, C or more) over values (B, G, C, D), as (B, G, H / G, D), for a compiler.

    Sums over few channels each, side by side: a compiler makes one pass over the values of them, where a single
    sum would be a pass for every few channels. The sums are divided, and not the weights, of which there are more.
    """
    weights = torch.exp(scores - scores.amax(-1, keepdim=True))
    total = weights.sum(-1).unflatten(1, (values.shape[1], -1))
    weights = weights[..., : values.shape[2]].unflatten(1, (values.shape[1], -1))  # B, G, H / G, 1, C
    weights = weights.transpose(-1, -2)
    few = values.split(16, dim=-1)  # what one or two vector registers hold
    parts = [(weights * part[:, :, None].float()).sum(-2) for part in few]
    return (torch.cat(parts, dim=-1) / total).to(values.dtype)


def _remember(k: Tensor, v: Tensor, now: Now, window: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Keep keys and values; return all that may be seen, (B, C, G, D), and their positions, (1 or B, C).

    Without a window each has its place for good; with one the past is a ring, where position p is at p % C.
    """
    if window == 1:  # nothing is kept
        return k, v, now.positions
    kept_k, kept_v = now.past["k"], now.past["v"]
    place = torch.arange(kept_k.shape[1], device=k.device)[None]
    if window is not None and k.shape[1] > 1:
        key = torch.cat((_held(place, now.positions[:, :1] - 1), now.positions), dim=1)
        return _into_ring(kept_k, k, now), _into_ring(kept_v, v, now), key
    rows = torch.arange(k.shape[0], device=k.device)[:, None]
    at = now.positions if window is None else now.positions % kept_k.shape[1]
    for kept, new in ((kept_k, k), (kept_v, v)):
        kept[rows, at] = new.to(kept.dtype)
    key = place if window is None else _held(place, now.positions)
    return kept_k.to(k.dtype), kept_v.to(v.dtype), key


def _held(place: Tensor, last: Tensor) -> Tensor:
    """The positions that the places (1, C) of a ring hold after `last` (1 or B, 1); below 0: none yet."""
    return last - (last - place) % place.shape[1]


def _into_ring(kept: Tensor, new: Tensor, now: Now) -> Tensor:
    """Put several positions into a ring; return what it held before and they, one after the other."""
    seen = torch.cat((kept.to(new.dtype), new), dim=1)
    place = torch.arange(kept.shape[1], device=new.device)[None]
    fresh = _held(place, now.positions[:, -1:]) - now.positions[:, :1]  # below 0 where nothing newer came
    source = torch.where(fresh >= 0, fresh + kept.shape[1], place).expand(len(new), -1)
    rows = torch.arange(len(new), device=new.device)[:, None]
    kept.copy_(seen[rows, source])
    return seen


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
