"""Steps and batches: what the settings say, settled or refused."""

import pytest

from runtime.faults import Fault
from stages.pretrain import Settings, pace


def test_the_horizon_of_2025():
    """Tokens = 20 a parameter, floor-divided by the batch: nanochat d20 makes 21,400 steps."""
    assert pace(Settings(), 560_988_160, 2048).steps == 21_400


@pytest.mark.parametrize(
    ("settings", "steps"),
    [(Settings(steps=7), 7), (Settings(tokens=1_048_576), 2), (Settings(tokens_per_parameter=1.0), 1)],
)
def test_one_of_three_says_how_long(settings, steps):
    assert pace(settings, 600_000, 2048).steps == steps


def test_micro_batches_divide_the_batch():
    found = pace(Settings(batch_tokens=64 * 12, length=64), 1, 64)
    assert (found.rows, found.accumulation, found.step_tokens) == (6, 2, 768)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(batch_tokens=1000), "is not whole rows"),
        (Settings(batch_tokens=2048 * 4, rows=3), "does not split into such micro-batches"),
        (Settings(length=4096), "the model's context is"),
    ],
)
def test_what_does_not_divide_is_refused(settings, message):
    with pytest.raises(Fault, match=message):
        pace(settings, 1, 2048)


def test_training_asks_for_the_same_bits_from_the_same_numbers(write_run, told, tmp_path):
    """Without it compiled code adds an embedding's gradients in the order of its threads; CI compares runs."""
    import torch

    from stages.runner import execute

    torch.use_deterministic_algorithms(False)
    execute(write_run(), tmp_path / "runs", told[0])
    assert torch.are_deterministic_algorithms_enabled()
