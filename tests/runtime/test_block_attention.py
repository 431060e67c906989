"""Attention block by block is attention."""

from __future__ import annotations

import pytest
import torch

from runtime import block_attention
from runtime.block_attention import BLOCK, LONGEST, attend_in_blocks, pays
from runtime.primitives import Now, attend

CASES = [
    (2, 2, 256, None),
    (4, 2, 200, None),
    (4, 1, 150, 37),
    (2, 2, 100, 64),
    (2, 1, 64, 1),
    (3, 3, 130, 500),
]


@pytest.mark.parametrize(("heads", "groups", "tokens", "window"), CASES)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_and_gradients_are_those_of_the_kernel(heads, groups, tokens, window, scale):
    stream = torch.Generator().manual_seed(0)
    sizes = (heads, 8), (groups, 8), (groups, 12)
    q, k, v = given = [torch.randn(3, tokens, *size, generator=stream).requires_grad_() for size in sizes]
    now, found = Now.start(torch.zeros(3, tokens, dtype=torch.int64)), []
    for mixed in (attend(q, k, v, now, window, scale), attend_in_blocks(q, k, v, window, scale)):
        (mixed * torch.linspace(-1, 1, 12)).sum().backward()
        found.append([mixed.detach(), *(t.grad for t in given)])
        for t in given:
            t.grad = None
    for wanted, mine in zip(*found, strict=True):
        assert torch.allclose(mine, wanted, atol=2e-6, rtol=1e-5)


def test_it_is_for_compiled_code_over_short_rows_on_cpu(monkeypatch: pytest.MonkeyPatch):
    def queries(tokens: int, device: str = "cpu") -> torch.Tensor:
        return torch.empty(1, tokens, 1, 4, device=device)

    assert not pays(queries(BLOCK))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert [pays(queries(n)) for n in (BLOCK - 1, BLOCK, LONGEST, LONGEST + 1)] == [False, True, True, False]
    assert not pays(queries(BLOCK, "meta"))


def test_compiled_attention_takes_it(monkeypatch: pytest.MonkeyPatch):
    taken: list[int] = []
    plain = block_attention.attend_in_blocks
    monkeypatch.setattr("runtime.row_attention.pays", lambda q: True)
    monkeypatch.setattr(
        "runtime.row_attention.attend_in_blocks", lambda *given: taken.append(1) or plain(*given)
    )
    q = torch.randn(1, 70, 2, 4)
    now = Now.start(torch.zeros(1, 70, dtype=torch.int64))
    attend(q, q, q, now)
    attend(q, q, q, now, window=9)
    attend(q, q, q, now, softcap=5.0)  # which has code of its own
    assert len(taken) == 2
