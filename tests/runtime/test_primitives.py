"""The torch side of the primitives while decoding; their formulas are in `tests/nanogen/primitives`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from runtime.primitives import CausalConv, Now, attend, rms_norm, shift

DRAW = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=DRAW)


def at(first: int, last: int, past: dict) -> Now:
    """The pass over positions `first` to `last`, for any rows."""
    tokens = torch.zeros(1, last - first, dtype=torch.int64)
    return Now.start(tokens, torch.float32, torch.arange(first, last)[None], past)


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


def test_a_branch_of_the_past_shares_positions_and_tables():
    now = at(3, 5, {"trunk": [{"mix": {"k": 1}}, {}]})
    now.tables["rope"] = "table"
    branch = now["trunk"][0]["mix"]
    assert branch.past == {"k": 1}
    assert branch.tables is now.tables
    assert branch.positions is now.positions
    training = Now.start(torch.zeros(2, 4, dtype=torch.int64))
    assert training["anything"][7] is training
    assert training.positions.tolist() == [[0, 1, 2, 3]]
    assert training.dtype == torch.float32


@pytest.mark.parametrize("window", [1, 2, 4, 30])
@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 6], [2, 9, 1]])
def test_a_window_keeps_no_more_than_it_sees(window: int, pieces: list[int]):
    q, k, v = drawn(2, 12, 4, 3), drawn(2, 12, 2, 3), drawn(2, 12, 2, 5)
    whole = attend(q, k, v, Now.start(zeros(2, 12)), window)
    kept = min(window, 12) if window > 1 else 0
    past = {"k": zeros(2, kept, 2, 3), "v": zeros(2, kept, 2, 5)} if kept else {}
    place, found = 0, []
    for size in pieces:
        here = slice(place, place + size)
        found.append(attend(q[:, here], k[:, here], v[:, here], at(place, place + size, past), window))
        place += size
    assert torch.allclose(torch.cat(found, dim=1), whole, atol=1e-5)
    for name, values in (("k", k), ("v", v)):
        if kept:  # a ring: position p stands at p % kept
            assert torch.equal(past[name], values[:, 12 - kept :].roll(12 % kept, dims=1))


def test_what_was_kept_before_the_start_is_never_seen():
    """Not even if it is not zero: keys of a window that is not full stand at negative positions."""
    q, k, v = drawn(1, 2, 1, 4), drawn(1, 2, 1, 4), drawn(1, 2, 1, 4)
    past = {"k": drawn(1, 6, 1, 4) * 100, "v": drawn(1, 6, 1, 4) * 100}
    assert torch.allclose(
        attend(q, k, v, at(0, 2, past), 6), attend(q, k, v, Now.start(zeros(1, 2))), atol=1e-5
    )


def test_full_attention_reads_no_place_that_was_not_written():
    q, k, v = drawn(1, 3, 1, 4), drawn(1, 3, 1, 4), drawn(1, 3, 1, 4)
    past = {"k": drawn(1, 9, 1, 4) * 100, "v": drawn(1, 9, 1, 4) * 100}
    found = torch.cat(
        [attend(*(t[:, p : p + 1] for t in (q, k, v)), at(p, p + 1, past)) for p in range(3)], dim=1
    )
    assert torch.allclose(found, attend(q, k, v, Now.start(zeros(1, 3))), atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 4])
@pytest.mark.parametrize("window", [None, 3])
def test_rows_may_stand_at_positions_of_their_own(window: int | None, tokens: int):
    q, k, v = drawn(2, 9, 2, 4), drawn(2, 9, 2, 4), drawn(2, 9, 2, 4)
    kept, first = window or 12, torch.tensor([[5], [2]])
    past = {"k": zeros(2, kept, 2, 4), "v": zeros(2, kept, 2, 4)}
    for row, count in enumerate(first.flatten().tolist()):
        begun = {name: t[row : row + 1] for name, t in past.items()}
        attend(*(t[row : row + 1, :count] for t in (q, k, v)), at(0, count, begun), window)
    positions = first + torch.arange(tokens)
    rows = torch.arange(2)[:, None]
    now = Now.start(zeros(2, tokens), torch.float32, positions, past)
    found = attend(*(t[rows, positions] for t in (q, k, v)), now, window)
    whole = attend(q, k, v, Now.start(zeros(2, 9)), window)
    assert torch.allclose(found, whole[rows, positions], atol=1e-5)


@pytest.mark.parametrize("stored", [2, 4, 9])
def test_a_past_that_is_shorter_than_the_shift_is_filled_with_zeros(stored: int):
    x, past = drawn(1, stored, 3), {"recent": zeros(1, min(stored, 4), 3)}
    pieces = [shift(x[:, p : p + 1], 4, at(p, p + 1, past)) for p in range(stored)]
    assert torch.equal(torch.cat(pieces, dim=1), shift(x, 4, Now.start(zeros(1, stored))))


def test_a_past_of_bfloat16_serves_values_of_float32():
    conv, x = CausalConv(3, 3), drawn(1, 8, 3)
    with torch.no_grad():
        conv.weight.copy_(drawn(3, 1, 3))
    past = {"recent": torch.zeros(1, 2, 3, dtype=torch.bfloat16)}
    found = torch.cat([conv(x[:, p : p + 1], at(p, p + 1, past)) for p in range(8)], dim=1)
    assert found.dtype == torch.float32
    assert torch.allclose(found, conv(x, Now.start(zeros(1, 8))), atol=0.05)


def test_gradients_flow_through_time_and_only_backwards():
    x = drawn(1, 6, 1, 4).requires_grad_()
    for value in (attend(x, x, rms_norm(x), Now.start(zeros(1, 6)), 3), shift(x, 2, Now.start(zeros(1, 6)))):
        (gradient,) = torch.autograd.grad(value[:, 3].sum(), x)
        assert not gradient[:, 4:].any()
        assert gradient[:, 1].any()
