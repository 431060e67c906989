"""Numbers that are not finite are found wherever they stand, and no others are."""

import math

import pytest
import torch

from runtime.finite import SHOWN, bad_loss, bad_rows, first_not_finite

TENSORS = {
    "a": torch.randn(3, 4),
    "none": None,
    "half": torch.randn(5).bfloat16(),
    "empty": torch.zeros(0, 3),
    "scalar": torch.tensor(2.0),
    "huge": torch.full((4,), 3e38),  # whose squares are infinite
}


def test_finite_numbers_are_let_pass():
    assert first_not_finite(TENSORS.items()) is None
    assert first_not_finite([]) is None
    assert first_not_finite([("none", None), ("empty", torch.zeros(0))]) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["a", "half", "scalar", "huge"])
def test_one_number_is_enough(name: str, value: float):
    spoiled = {n: t.clone() if t is not None else None for n, t in TENSORS.items()}
    tensor = spoiled[name]
    assert tensor is not None
    tensor.view(-1)[-1] = value
    assert first_not_finite(spoiled.items()) == name


def test_what_is_done_on_cuda_finds_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    assert first_not_finite(TENSORS.items()) is None
    for value in (math.nan, math.inf, -math.inf):
        assert first_not_finite({**TENSORS, "half": torch.tensor([1, value, 2]).bfloat16()}.items()) == "half"


def test_a_device_is_read_once(monkeypatch: pytest.MonkeyPatch):
    read = []
    plain = torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: (read.append(1), plain(self))[1])
    monkeypatch.setattr(torch.Tensor, "item", lambda self: pytest.fail("read one by one"))
    first_not_finite((str(n), torch.ones(3)) for n in range(50))
    assert len(read) == 1


def test_rows_are_those_of_the_bad_tokens():
    losses = torch.ones(4, 3)
    losses[1, 2], losses[3, 0] = math.nan, math.inf
    assert bad_rows(losses) == [1, 3]
    assert bad_rows(torch.full((2, 2), 3e38)) == [0, 1]  # only their sum is not finite


def test_a_message_names_no_more_than_can_be_read():
    fault = bad_loss(1234, math.nan, 0, 2, [0, 2], lambda *_: [f"d{n}" for n in range(SHOWN + 5)] * 2)
    assert fault.message.startswith("the loss of step 1,234 is nan in micro-batch 1 of 2, rows 1, 3: stopped")
    assert fault.message.endswith(f"d{SHOWN - 1}, and 5 more")
