"""Training: a resumed run is the straight one, and a step is one loss however it is cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanogen.compiler import compile_text
from runtime.checkpoint import newest_save, write_save
from runtime.faults import Fault, TooLarge
from runtime.losses import IGNORED
from runtime.model import build, initialize
from runtime.optimizer import Entry, Optimizer
from runtime.primitives import Now
from runtime.schedule import Schedule
from runtime.training import Trainer, load_weights
from tests.live_bytes import LiveBytes
from tests.rules import rules

STEPS, VOCAB = 9, 12
SPEC = """
kind = "model"
language = 1
[dims]
vocab = 12
context = 8
[module.attention]
q = "linear(x, 8)"
k = "linear(x, 8)"
mix = "attend(rope(split(q, 2), 100), rope(split(k, 2), 100), split(k, 2))"
y = "linear(flatten(mix), 8)"
[stack.trunk]
layers = 2
keep = "parameter(init=1)"
n = "rms_norm(x, gain=true)"
a = "attention(n)"
c = "causal_conv(n + a, 3)"
x = "keep * x + c"
[model]
embed = "embedding(tokens, vocab, 8)"
trunk = "trunk(embed)"
logits = "linear(trunk, vocab, role=head)"
"""


LOOPED = (
    SPEC.replace("[stack.trunk]\nlayers = 2", '[loop.trunk]\ntimes = "r"\nbackprop = 2')
    + """
[dial.r]
default = 2
train = { draw = "lognormal_poisson", mean = 2, sigma = 0.5, max = 6 }
"""
)


class Cursor:
    """Batches that depend on their number alone, with more targets ignored in some than in others."""

    def __init__(self) -> None:
        self.place = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(self.place)
        ids = torch.randint(VOCAB, (2, 7), generator=draw)
        targets = ids[:, 1:].clone()
        targets[:, : self.place % 5] = IGNORED
        self.place += 1
        return ids[:, :-1], targets

    def state(self) -> dict[str, np.ndarray]:
        return {"place": np.array([self.place])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.place = int(state["place"][0])

    def sources(self) -> list[list[int]]:
        return [[self.place - 1, row] for row in range(2)]

    def names(self, sources: Sequence[int]) -> list[str]:
        return [f"number {source}" for source in sources]


def trainer_of(accumulation: int = 2, seed: int = 1, spec: str = SPEC) -> Trainer:
    compiled = compile_text(spec)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=seed)
    tensors: dict[str, Any] = dict(model.named_parameters())
    entries = [Entry(p["path"], p["role"], tensors[p["path"]]) for p in compiled.blueprint["parameters"]]
    return Trainer(
        model=model,
        optimizer=Optimizer(entries, rules(8), dtype="float32"),
        schedule=Schedule(
            STEPS, rate=lambda step: 1 - step / STEPS, momentum_at=lambda step: 0.85 + 0.01 * step
        ),
        loader=Cursor(),
        accumulation=accumulation,
        dtype=torch.float32,
        device="cpu",
        compiled=False,
        dials=compiled.blueprint["dials"],
        ending=compiled.blueprint["ending"],
        seed=5,
    )


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def test_training_lowers_the_loss_and_counts_what_it_did():
    trainer = trainer_of()
    before = weights(trainer)
    results = [trainer.run_step() for _ in range(STEPS)]
    assert [r.step for r in results] == list(range(STEPS))
    assert [r.rate for r in results] == [trainer.schedule.rate(step) for step in range(STEPS)]
    assert trainer.step == STEPS
    assert results[0].tokens == 2 * 6 + 2 * 5  # of batch 0 all, of batch 1 all but the first column
    assert results[2].tokens == 2 * 2 + 2 * 6
    assert results[0].loss > 2
    after = weights(trainer)
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("spec", [SPEC, LOOPED], ids=["plain", "looped"])
@pytest.mark.parametrize("at", [1, 4, 8])
def test_a_resumed_run_is_the_straight_run_bit_for_bit(tmp_path: Path, at: int, spec: str):
    straight = trainer_of(spec=spec)
    done = []
    for step in range(STEPS):
        if step == at:
            write_save(tmp_path, step, straight.groups(), {})
        result = straight.run_step()
        done.append((result.loss, result.dials))
    resumed = trainer_of(seed=2, spec=spec)  # other weights, to be overwritten
    save = newest_save(tmp_path, pytest.fail)
    assert save is not None
    resumed.restore(save.step, {name: save.tensors(name) for name in ("weights", "optimizer", "loader")})
    results = [resumed.run_step() for _ in range(at, STEPS)]
    assert [(r.loss, r.dials) for r in results] == done[at:]
    ends = resumed.groups()
    for group, tensors in straight.groups().items():
        assert set(tensors) == set(ends[group])
        assert all(torch.equal(tensor, ends[group][name]) for name, tensor in tensors.items()), group


def test_each_micro_batch_has_dials_of_its_own(monkeypatch: pytest.MonkeyPatch):
    trainer, asked = trainer_of(accumulation=4, spec=LOOPED), []
    plain = trainer.losses

    def losses(inputs: Tensor, targets: Tensor, *, dials: dict[str, int], weights: Tensor) -> Tensor:
        asked.append(dials)
        return plain(inputs, targets, dials=dials, weights=weights)

    trainer.losses = losses  # type: ignore[assignment]
    results = [trainer.run_step() for _ in range(3)]
    assert [dials for result in results for dials in result.dials] == asked
    assert len({tuple(d["r"] for d in result.dials) for result in results}) == 3
    assert len({d["r"] for d in asked}) > 2
    assert trainer_of().run_step().dials == ({}, {})


def gradients(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> tuple[float, dict[str, Tensor]]:
    """The loss of the first step and the gradients that the optimizer saw."""
    seen: dict[str, Tensor] = {}

    def look(*_: Any) -> None:
        seen.update({n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None})

    monkeypatch.setattr(trainer.optimizer, "step", look)
    return trainer.run_step().loss, seen


@pytest.mark.parametrize("accumulation", [1, 3, 5])
def test_the_loss_is_over_the_tokens_of_the_step_however_they_are_cut(
    accumulation: int, monkeypatch: pytest.MonkeyPatch
):
    loss, found = gradients(trainer_of(accumulation), monkeypatch)
    whole = trainer_of()
    assert whole.loader is not None
    batches = [next(whole.loader) for _ in range(accumulation)]
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    logits = whole.model(inputs, Now.start(inputs))
    wanted = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    wanted.backward()
    assert loss == pytest.approx(float(wanted.detach()), abs=1e-6)
    for name, parameter in whole.model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name


def planted(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, int], value: float) -> None:
    """The loss of one row of one micro-batch is what no loss is."""
    plain, calls = trainer.losses, []

    def losses(inputs: Tensor, targets: Tensor, *rest: Any, **named: Any) -> Tensor:
        calls.append(1)
        found = plain(inputs, targets, *rest, **named)
        return found if len(calls) - 1 != bad[0] else found + torch.tensor([[0.0], [value]])[: len(found)]

    monkeypatch.setattr(trainer, "losses", losses)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_rows_of_a_bad_loss_are_named(monkeypatch: pytest.MonkeyPatch, value: float):
    trainer = trainer_of(3)
    before = weights(trainer)
    planted(trainer, monkeypatch, (1, 1), value)
    with pytest.raises(Fault) as caught:
        trainer.run_step()
    assert f"the loss of step 0 is {value} in micro-batch 2 of 3, row 2: stopped" in caught.value.message
    assert caught.value.message.endswith("; it learnt from number 1")
    assert all(torch.equal(t, before[name]) for name, t in weights(trainer).items())
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(value: float):
    trainer = trainer_of()
    trainer.run_step()
    name = "trunk.1.a.q.weight"
    before, state = weights(trainer), {n: t.clone() for n, t in trainer.optimizer.state().items()}
    parameter = dict(trainer.model.named_parameters())[name]
    parameter.register_hook(lambda grad: torch.full_like(grad, value))
    with pytest.raises(
        Fault, match=rf"the gradient of `{name}` is not finite at step 1, whose loss is \d"
    ) as caught:
        trainer.run_step()
    assert "number 2, number 0, number 1, number 3" in caught.value.message
    assert all(torch.equal(t, before[n]) for n, t in weights(trainer).items())
    assert all(torch.equal(t, state[n]) for n, t in trainer.optimizer.state().items())
    assert trainer.step == 1


def test_weights_that_are_not_finite_are_not_saved():
    trainer = trainer_of()
    trainer.check_weights()
    with torch.no_grad():
        dict(trainer.model.named_parameters())["trunk.0.c.weight"].view(-1)[0] = math.inf
    with pytest.raises(Fault, match=r"`trunk\.0\.c\.weight` is not finite after 0 steps"):
        trainer.check_weights()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(value: float):
    trainer = trainer_of()
    trainer.run_step()
    with torch.no_grad():
        dict(trainer.model.named_parameters())["embed.weight"][3, 0] = value
    before, state = weights(trainer), {name: t.clone() for name, t in trainer.optimizer.state().items()}
    with pytest.raises(Fault, match="the loss of step 1 is nan"):
        trainer.run_step()
    assert all(torch.equal(t, before[name]) for name, t in weights(trainer).items() if name != "embed.weight")
    assert all(torch.equal(t, state[name]) for name, t in trainer.optimizer.state().items())
    assert trainer.step == 1


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_step_that_does_not_fit_is_made_again_of_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, backward: bool
):
    """In smaller micro-batches, to the bits of a trainer that had those; nothing is held of what did not fit."""
    wanted = trainer_of(accumulation=4)
    wanted.rows = 2
    wanted.run_step()
    wanted.cut(1)
    trainer = trainer_of(accumulation=4)
    trainer.run_step()
    assert (trainer.rows, trainer.step_rows) == (2, 8)
    before, plain, calls = weights(trainer), trainer.losses, []

    def scarce(*given: Any, **named: Any) -> Tensor:
        calls.append(1)
        found = plain(*given, **named)
        if len(calls) == 3:
            if not backward:
                raise torch.OutOfMemoryError("CUDA out of memory")
            found.register_hook(lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory")))
        return found

    live = LiveBytes([*trainer.model.parameters(), *trainer.optimizer.state().values()])
    held = live.now
    trainer.losses = scarce  # type: ignore[assignment]
    with live, pytest.raises(TooLarge):
        trainer.run_step()
    small = 2_000  # the batches, which are kept for the next call
    assert live.peak > held + small
    assert live.now < held + small
    assert all(torch.equal(t, before[name]) for name, t in weights(trainer).items())
    assert all(p.grad is None for p in trainer.model.parameters())
    assert trainer.smaller() == 1
    trainer.cut(1)
    assert (trainer.rows, trainer.accumulation) == (1, 8)
    for _ in range(3):
        ours, theirs = trainer.run_step(), wanted.run_step()
        assert (ours.step, ours.loss, ours.tokens) == (theirs.step, theirs.loss, theirs.tokens)
    assert all(torch.equal(t, weights(wanted)[name]) for name, t in weights(trainer).items())
    assert trainer.smaller() is None


def test_rows_that_are_cut_otherwise_are_named_as_ever(monkeypatch: pytest.MonkeyPatch):
    trainer = trainer_of(3)
    trainer.rows = 2
    trainer.cut(3)
    monkeypatch.setattr(trainer, "losses", one_bad_row(trainer.losses, 1, 1))
    with pytest.raises(Fault, match=r"in micro-batch 2 of 2, row 2: .*; it learnt from number 2, number 0"):
        trainer.run_step()


def one_bad_row(plain: Any, micro: int, row: int) -> Any:
    """Losses of which one row of one micro-batch is none."""
    calls = []

    def losses(inputs: Tensor, *rest: Any, **named: Any) -> Tensor:
        found = plain(inputs, *rest, **named)
        calls.append(1)
        if len(calls) - 1 != micro:
            return found
        return found + torch.tensor([[math.nan if n == row else 0.0] for n in range(len(found))])

    return losses


def test_another_error_of_a_step_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch):
    trainer = trainer_of()

    def wrong(*_: Any, **__: Any) -> Tensor:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(trainer, "losses", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trainer.run_step()


def test_a_step_without_supervised_tokens_has_no_loss():
    trainer = trainer_of(1)
    result = trainer.learn([(torch.zeros(1, 4, dtype=torch.int64), torch.full((1, 4), IGNORED))])
    assert (result.loss, result.tokens) == (0, 0)
    assert all(torch.isfinite(t).all() for t in weights(trainer).values())


def test_weights_of_another_model_are_refused_by_name():
    model, other = nn.Linear(3, 2), {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    load_weights(model, other)
    assert torch.equal(model.weight, other["weight"])
    with pytest.raises(Fault, match="`bias` and more"):
        load_weights(model, {"weight": torch.ones(2, 3)})
    with pytest.raises(Fault, match=r"`weight` is \(2, 3\) in the model and \(3, 3\) in the file"):
        load_weights(model, {"weight": torch.ones(3, 3), "bias": torch.ones(2)})
