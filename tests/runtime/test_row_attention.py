"""Attention in parts is attention, and meets no more keys than it must."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from runtime.primitives import Now, attend
from runtime.row_attention import MOST, PART, attend_in_parts

CASES = [
    (2, 2, 40, 7),
    (4, 2, PART + 44, 37),
    (2, 1, 2 * PART, PART),
    (3, 1, 3 * PART + 1, PART + 90),
    (1, 1, PART + 1, 1),
]


def whole(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int, scale: float | None
) -> torch.Tensor:
    """Every pair under one mask."""
    place = torch.arange(q.shape[1])
    seen = (place <= place[:, None]) & (place > place[:, None] - window)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, seen, scale=scale, enable_gqa=True).transpose(1, 2)


@pytest.mark.parametrize(("heads", "groups", "tokens", "window"), CASES)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_and_gradients_are_those_under_one_mask(heads, groups, tokens, window, scale):
    stream = torch.Generator().manual_seed(0)
    sizes = (heads, 8), (groups, 8), (groups, 12)
    given = [torch.randn(2, tokens, *size, generator=stream).requires_grad_() for size in sizes]
    found = []
    for way in (whole, attend_in_parts):
        mixed = way(*given, window, scale)
        (mixed * torch.linspace(-1, 1, 12)).sum().backward()
        found.append([mixed.detach(), *(t.grad for t in given)])
        for t in given:
            t.grad = None
    for wanted, mine in zip(*found, strict=True):
        assert torch.allclose(mine, wanted, atol=2e-6, rtol=1e-5)


def test_no_part_meets_keys_that_none_of_its_queries_sees(monkeypatch: pytest.MonkeyPatch):
    met: list[int] = []
    kernel = F.scaled_dot_product_attention

    def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **settings) -> torch.Tensor:
        met.append(q.shape[-2] * k.shape[-2])
        return kernel(q, k, v, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    q = torch.randn(1, 4 * PART, 2, 4)
    attend(q, q, q, Now.start(torch.zeros(1, 4 * PART, dtype=torch.int64)), 65)
    assert met == [PART * PART, *[PART * (PART + 64)] * 3]


def test_a_long_row_has_longer_parts_and_no_more_of_them(monkeypatch: pytest.MonkeyPatch):
    parts: list[int] = []

    def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **settings) -> torch.Tensor:
        parts.append(q.shape[-2])
        return q

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    q = torch.empty(1, 40 * PART, 1, 1)
    assert attend_in_parts(q, q, q, 3).shape == q.shape
    assert (len(parts), parts[0]) == (MOST, 640)
