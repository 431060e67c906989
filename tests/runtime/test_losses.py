"""Losses of tokens, and bits per byte by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nanogen.compiler import compile_text
from runtime.losses import IGNORED, bits_per_byte, token_losses
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.ranks import Ranks
from tests.conftest import LOOPED


class Fixed(nn.Module):
    """The same chances after every token."""

    def __init__(self, chances: list[float]):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(chances).log())

    def forward(self, tokens: Tensor, now: Now) -> Tensor:
        assert now.past is None
        return self.logits.to(now.dtype).expand(*tokens.shape, -1)


CHANCES = [0.5, 0.25, 0.125, 0.125]
BYTES = torch.tensor([1, 3, 2, 0])  # the last id is a special token
INPUTS = torch.tensor([[3, 0, 1], [0, 2, 2]])
TARGETS = torch.tensor([[0, 1, 3], [2, IGNORED, 0]])


def test_the_loss_of_each_token_in_nats():
    found = token_losses(Fixed(CHANCES), torch.float32)(INPUTS, TARGETS).detach()
    assert found.dtype == torch.float32
    wanted = torch.tensor([[1, 2, 3], [3, 0, 1]]) * math.log(2)
    assert torch.allclose(found, wanted)


def test_losses_are_float32_whatever_the_values_are():
    found = token_losses(Fixed(CHANCES), torch.bfloat16)(INPUTS, TARGETS).detach()
    assert found.dtype == torch.float32
    assert torch.allclose(found, torch.tensor([[1, 2, 3], [3, 0, 1]]) * math.log(2), atol=0.02)


def test_an_ignored_target_has_no_gradient():
    model = Fixed(CHANCES)
    token_losses(model, torch.float32)(INPUTS, torch.full((2, 3), IGNORED)).sum().backward()
    assert model.logits.grad is not None
    assert not model.logits.grad.any()


def test_bits_per_byte_by_hand():
    losses = token_losses(Fixed(CHANCES), torch.float32)
    # targets 0, 1, 2, 0 stand for bytes: 1 + 2 + 3 + 1 bits over 1 + 3 + 2 + 1 bytes
    assert bits_per_byte(losses, [(INPUTS, TARGETS)], BYTES) == pytest.approx(7 / 7)
    # and once more with a batch of one token of 3 bytes
    batches = [(INPUTS, TARGETS), (torch.tensor([[0]]), torch.tensor([[1]]))]
    assert bits_per_byte(losses, batches, BYTES) == pytest.approx(9 / 10)


def test_nothing_that_stands_for_bytes_has_no_measure():
    losses = token_losses(Fixed(CHANCES), torch.float32)
    assert bits_per_byte(losses, [(INPUTS, torch.full((2, 3), 3))], BYTES) == math.inf
    assert bits_per_byte(losses, [], BYTES) == math.inf


class Told(Ranks):
    """One of several that is told the totals of those that were asked before it."""

    sums: tuple[float, ...] = ()

    def measured(self, sums, size):
        type(self).sums = tuple(a + b for a, b in zip(sums(), self.sums or (0.0,) * size, strict=True))
        return list(self.sums)


def test_ranks_measure_all_batches_once_and_equally_many_each():
    passes = []
    losses = token_losses(Fixed(CHANCES), torch.float32)

    def counted(*batch, **how):
        passes.append(len(batch[0]))
        return losses(*batch, **how)

    batches = [(INPUTS, TARGETS), (torch.tensor([[0]]), torch.tensor([[1]])), (INPUTS, TARGETS)]
    whole = bits_per_byte(losses, batches, BYTES)
    Told.sums = ()
    found = [bits_per_byte(counted, batches, BYTES, Told(rank, 2)) for rank in range(2)]
    assert found[-1] == pytest.approx(whole)
    assert passes == [2, 2, 1, 1]


def test_some_rows_of_a_micro_batch_draw_what_they_draw_in_all_of_it():
    noisy = LOOPED.replace("flatten(mix))", "flatten(mix) + noise(q, std=0.1))")
    compiled = compile_text(noisy)
    assert compiled.blueprint["draws"]
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=1)
    losses = token_losses(model, torch.float32, ending=compiled.blueprint["ending"])
    ids, seed = torch.arange(36).view(4, 9), torch.tensor(7)
    whole = losses(ids[:, :-1], ids[:, 1:], seed, dials={"r": 2})
    some = losses(ids[1::2, :-1], ids[1::2, 1:], seed, torch.tensor([[1], [3]]), dials={"r": 2})
    torch.testing.assert_close(some, whole[1::2])
    other = losses(ids[1::2, :-1], ids[1::2, 1:], seed, dials={"r": 2})
    assert not torch.allclose(other, whole[1::2], atol=1e-4)
