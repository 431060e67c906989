"""A step that is tried leaves nothing behind, whatever the optimizer keeps; and what it took is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from runtime.finite import NotFinite
from runtime.probe import Peak, full_batch, most_of, try_evaluation, try_step, undone
from runtime.ranks import ALONE
from tests.runtime.ranked import trainer_of as ranked_trainer
from tests.runtime.test_training import LOOPED, SPEC, VOCAB, trainer_of


def everything(trainer: Any) -> dict[str, Tensor]:
    state = {f"state/{name}": t.clone() for name, t in trainer.optimizer.kept().items()}
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()} | state


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("spec", [SPEC, LOOPED], ids=["plain", "looped"])
def test_what_is_tried_is_undone_to_the_bit(spec: str, steps: int):
    trainer = trainer_of(spec=spec)
    for _ in range(steps):
        trainer.run_step()
    trainer.rows = 2
    before, place, numbers = everything(trainer), trainer.loader.place, torch.get_rng_state()  # type: ignore[union-attr]
    with undone(trainer):
        try_step(trainer, length=6, vocab=VOCAB)
        try_evaluation(trainer, rows=2, length=6, vocab=VOCAB)
        torch.rand(3)
        assert trainer.step == steps + 1
        tried = everything(trainer)
        assert not all(torch.equal(tried[name], before[name]) for name in trainer.weights())
    after = everything(trainer)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.view(torch.int32).equal(after[name].view(torch.int32)), name
    assert (trainer.step, trainer.loader.place) == (steps, place)  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("name", ["nanochat_2025", "saint_iberis_tiny", "looped"])
def test_a_fresh_optimizer_is_put_back_as_the_zeros_that_it_starts_with(name: str):
    trainer = ranked_trainer(name, ALONE)
    trainer.rows = 2
    assert not any(t.any() for t in trainer.optimizer.kept().values())
    with undone(trainer):
        try_step(trainer, length=16, vocab=96)
        assert any(t.any() for t in trainer.optimizer.kept().values())
    assert not any(t.any() for t in trainer.optimizer.kept().values())


def test_an_error_is_undone_too():
    trainer = trainer_of()
    before = everything(trainer)

    def fail() -> None:
        with undone(trainer):
            trainer.run_step()
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        fail()
    assert all(torch.equal(tensor, everything(trainer)[name]) for name, tensor in before.items())


def test_as_many_micro_batches_are_tried_as_make_a_difference(monkeypatch: pytest.MonkeyPatch):
    """With the gradients of one there, the next takes more; a third takes no more than that."""
    for accumulation, wanted in ((1, 1), (2, 2), (5, 2)):
        trainer, asked = trainer_of(accumulation, spec=LOOPED), []
        trainer.rows = 4
        plain = trainer.losses

        def losses(
            inputs: Tensor, targets: Tensor, *, dials: Any, weights: Tensor, plain=plain, asked=asked
        ) -> Tensor:
            asked.append((tuple(inputs.shape), dials))
            return plain(inputs, targets, dials=dials, weights=weights)

        monkeypatch.setattr(trainer, "losses", losses)
        with undone(trainer):
            try_step(trainer, length=6, vocab=VOCAB)
        assert asked == [((4, 6), {"r": 6})] * wanted


def test_rows_that_were_made_up_stop_nothing(monkeypatch: pytest.MonkeyPatch):
    trainer = trainer_of()
    trainer.rows = 2

    def infinite(*_: Any, **__: Any) -> None:
        raise NotFinite("the loss of step 0 is nan")

    monkeypatch.setattr(type(trainer), "learn", infinite)
    with undone(trainer):
        try_step(trainer, length=6, vocab=VOCAB)


def test_dials_are_tried_as_far_up_as_they_are_drawn():
    assert most_of(trainer_of(spec=LOOPED).dials) == {"r": 6}
    assert most_of({"r": {"default": 3, "train": None}, "s": {"default": 2, "train": {"draw": "fixed"}}}) == {
        "r": 3,
        "s": 2,
    }


def test_every_position_of_what_is_tried_counts():
    inputs, targets = full_batch(3, 5, 12)
    assert inputs.shape == targets.shape == (3, 5)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert int(targets.min()) >= 0
    assert int(inputs.max()) < 12


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells what a process took")
def test_a_peak_is_the_most_that_was_taken_and_what_was_held():
    with Peak("cpu", held=10) as small:
        pass
    with Peak("cpu", held=10) as large:
        torch.ones(2**26)
    with Peak("cpu", held=10) as after:
        pass
    assert small.bytes is not None
    assert large.bytes is not None
    assert after.bytes is not None
    assert large.bytes - small.bytes > 200 * 2**20  # of 256 MiB
    assert after.bytes < 100 * 2**20
