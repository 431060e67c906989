"""Weights in oneDNN's order give what plain maps give, whatever the number of rows, and with few kernels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from runtime.decoding.prepack import EXACT, SHARED, PrepackedLinear, can_prepack
from runtime.primitives import Linear

pytestmark = pytest.mark.skipif(
    not can_prepack("cpu", torch.float32), reason="this torch has no such kernels"
)


@pytest.fixture(params=[True, False], ids=["bias", "no bias"])
def linear(request) -> Linear:
    made = Linear(8, 12, bias=request.param)
    for number, parameter in enumerate(made.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    return made


@torch.no_grad()
def test_any_number_of_rows_is_what_the_plain_map_gives(linear: Linear):
    packed = PrepackedLinear(linear, torch.float32)
    for shape in ((1, 8), (1, 1, 8), (3, 5, 8), (2, 7, 11, 8), (1, EXACT, 8), (1, EXACT + 1, 8), (1, 333, 8)):
        x = torch.randn(shape)
        found = packed(x)
        assert found.shape == (*shape[:-1], 12)
        assert torch.allclose(found, F.linear(x, linear.weight, linear.bias), atol=1e-5)


@torch.no_grad()
def test_prompts_of_all_lengths_share_few_kernels(linear: Linear, monkeypatch: pytest.MonkeyPatch):
    """oneDNN keeps one for each number of rows, of a megabyte and more: memory would grow with every new length."""
    packed, sizes = PrepackedLinear(linear, torch.float32), set()
    plain = torch.ops.mkldnn._linear_pointwise.default

    def counted(x: torch.Tensor, *rest):
        sizes.add(x.numel() // 8)
        return plain(x, *rest)

    monkeypatch.setattr(torch.ops.mkldnn._linear_pointwise, "default", counted)
    for rows in range(1, 513):
        packed(torch.ones(1, rows, 8))
    assert {size for size in sizes if size <= EXACT} == set(
        range(1, EXACT + 1)
    )  # steps stay as fast as they are
    assert len(sizes) == EXACT + (512 - EXACT) // SHARED
