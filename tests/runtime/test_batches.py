"""Batches that are gone through several times are made once."""

from __future__ import annotations

import torch

from runtime.batches import IGNORED, HeldBatches, stand_in


def test_held_batches_are_made_once_and_are_the_same_each_time():
    asked = []

    def make():
        asked.append(True)
        for number in range(3):
            yield torch.full((2, 4), 70_000 + number), torch.full((2, 4), IGNORED)

    held = HeldBatches(make)
    assert not asked  # what is never measured is never encoded
    for _ in range(3):
        found = list(held)
        assert [int(inputs[1, 3]) for inputs, _ in found] == [70_000, 70_001, 70_002]
        assert all((targets == IGNORED).all() for _, targets in found)
        assert {tensor.dtype for batch in found for tensor in batch} == {torch.int64}
    assert len(asked) == 1


def test_nothing_counts_in_a_stand_in():
    inputs, targets = stand_in((torch.arange(8).view(2, 4), torch.ones(2, 4, dtype=torch.int64)))
    assert inputs.tolist() == [[0, 1, 2, 3]]
    assert targets.tolist() == [[IGNORED] * 4]
