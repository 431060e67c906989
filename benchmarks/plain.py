"""What our training is held against: a GPT as one would write it by hand, and Muon a matrix at a time.

Knows nothing of specs, nor of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn


@frozen
class Sizes:
    """Of a GPT whose MLP is four times as wide as the rest."""

    depth: int
    width: int
    heads: int
    vocab: int
    tokens: int  # of a row


class Block(nn.Module):
    """Attention with normed queries and keys, then a squared ReLU."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.q, self.k, self.v, self.y = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        h = F.rms_norm(x, x.shape[-1:])
        q, k, v = (f(h).view(*x.shape[:2], self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (F.rms_norm(rotate(t, cos, sin), t.shape[-1:]) for t in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.y(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.relu(self.up(F.rms_norm(x, x.shape[-1:]))).square())


class Plain(nn.Module):
    """The GPT of nanochat in 2025."""

    cos: Tensor
    sin: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embed = nn.Embedding(sizes.vocab, sizes.width)
        self.blocks = nn.ModuleList([Block(sizes) for _ in range(sizes.depth)])
        self.head = nn.Linear(sizes.width, sizes.vocab, bias=False)
        channels = sizes.width // sizes.heads
        speed = 1.0 / 10000 ** (torch.arange(0, channels, 2).float() / channels)
        angle = torch.arange(sizes.tokens)[:, None].float() * speed
        self.register_buffer("cos", angle.cos().bfloat16())
        self.register_buffer("sin", angle.sin().bfloat16())

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        embedded = self.embed(ids).bfloat16()
        x = F.rms_norm(embedded, embedded.shape[-1:])
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = 15 * torch.tanh(self.head(F.rms_norm(x, x.shape[-1:])).float() / 15)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


NAMES = {"attn.q": "q", "attn.k": "k", "attn.v": "v", "attn.y": "y", "mlp.up": "up", "mlp.y": "down"}


def by_plain_names(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the spec `nanochat_2025` by the names that they have here."""
    found = {}
    for name, p in model.named_parameters():
        for ours, plain in NAMES.items():
            name = name.replace(ours, plain)
        found[name.replace("trunk", "blocks")] = p.detach().clone()
    return found


@torch.compile
def newton_schulz(g: Tensor) -> Tensor:
    """Five quintic iterations in bfloat16, as Keller Jordan published them."""
    x = g.bfloat16()
    x = x.mT if g.shape[0] > g.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if g.shape[0] > g.shape[1] else x


class PlainMuon:
    """Muon, a matrix at a time."""

    def __init__(self, matrices: Sequence[Tensor], rate: float, momentum: float) -> None:
        self.matrices, self.rate, self.momentum = matrices, rate, momentum
        self.averages = [torch.zeros_like(p) for p in matrices]

    @torch.no_grad()
    def step(self) -> None:
        for p, average in zip(self.matrices, self.averages, strict=True):
            assert p.grad is not None
            average.lerp_(p.grad, 1 - self.momentum)
            step = newton_schulz(p.grad.lerp(average, self.momentum))
            p.add_(step, alpha=-self.rate * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)
            p.grad = None
