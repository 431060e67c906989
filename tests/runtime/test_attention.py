"""Attention at the end of what is kept gives what attention with a mask gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from runtime.attention import BLOCK, _masked, attend_at_end


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2)])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (7, 7), (7, 30), (BLOCK, BLOCK), (2 * BLOCK + 3, 900)])
def test_figures_are_those_of_a_mask(queries, keys, heads, groups, dtype):
    noise = torch.Generator().manual_seed(0)
    q = torch.randn(2, queries, heads, 8, generator=noise).to(dtype)
    k, v = (torch.randn(2, keys, groups, 8, generator=noise).to(dtype) for _ in range(2))
    found = attend_at_end(q, k, v, 0.5)
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    wanted = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.5, enable_gqa=heads != groups)
    close = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, wanted.transpose(1, 2), atol=close, rtol=close)
    torch.testing.assert_close(
        _masked(q, k, v, 0.5), wanted, atol=close, rtol=close
    )  # what other devices compute


def test_values_may_be_of_another_width_and_queries_lie_as_they_will():
    noise = torch.Generator().manual_seed(0)
    q = torch.randn(2, 8, 4, 7, generator=noise).mT  # channels do not stand next to each other
    k = torch.randn(2, 12, 7, 4, generator=noise)
    for width in (4, 3):
        v = torch.randn(2, 12, 7, width, generator=noise)
        found = attend_at_end(q, k, v, None)
        mask = torch.ones(8, 12, dtype=torch.bool).tril(4)
        heads_first = (t.transpose(1, 2).contiguous() for t in (q, k, v))
        wanted = F.scaled_dot_product_attention(*heads_first, attn_mask=mask)
        torch.testing.assert_close(found, wanted.transpose(1, 2))
