"""The policy gradient: which tokens count, by how much, and that a better answer becomes likelier."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from runtime.batches import IGNORED
from runtime.decoding.engine import Engine
from runtime.decoding.request import Request, Sampling
from runtime.rollouts import Rollout, policy_batches, roll_out
from tests.runtime.test_training import LOOPED, SPEC, trainer_of

PROMPT = (1, 2, 3)


def rollout(ids, drawn, reason="length") -> Rollout:
    return Rollout(PROMPT, list(ids), list(drawn), reason)


def test_prompts_and_what_a_tool_wrote_are_no_targets_and_the_last_id_is():
    made = rollout([4, 5, 6, 7], [True, False, False, True], "stop")
    ((inputs, targets),), (weights,), _ = policy_batches([made], [0.5], pad=0, micro_tokens=64)
    assert inputs.shape == (1, 16)
    assert inputs[0, :6].tolist() == [1, 2, 3, 4, 5, 6]
    assert targets[0, :6].tolist() == [IGNORED, IGNORED, 4, IGNORED, IGNORED, 7]
    assert (targets[0, 6:] == IGNORED).all()
    assert (weights == 0.5).all()
    assert (made.learnt, made.text_ids) == (2, [4, 5, 6])


def test_samples_without_an_advantage_are_left_out_but_one_stands_for_none():
    some = [rollout([4], [True]), rollout([5] * 20, [True] * 20), rollout([6], [True])]
    batches, _, samples = policy_batches(some, [1.0, 0.0, -1.0], pad=0, micro_tokens=64)
    assert sum(len(inputs) for inputs, _ in batches) == 2
    assert samples == [[0, 2]]
    batches, weights, _ = policy_batches(some, [0.0, 0.0, 0.0], pad=0, micro_tokens=64)
    assert [len(inputs) for inputs, _ in batches] == [1]
    assert float(weights[0].abs().sum()) == 0


def test_micro_batches_hold_samples_of_like_length():
    some = [rollout([4] * n, [True] * n) for n in (2, 40, 3, 41, 4)]
    batches, _, samples = policy_batches(some, [1.0] * 5, pad=0, micro_tokens=100)
    assert sorted(inputs.shape for inputs, _ in batches) == [(2, 48), (3, 16)]
    assert samples == [[1, 3], [0, 2, 4]]


def test_the_gradient_is_that_of_the_formula_however_samples_are_cut():
    made = [rollout([4, 5, 6], [True, True, False]), rollout([7], [True]), rollout([8] * 5, [True] * 5)]
    advantages = [0.5, -1.0, 0.25]
    wanted = trainer_of()
    loss = torch.zeros(())
    for sample, advantage in zip(made, advantages, strict=True):
        ids = torch.tensor([[*PROMPT, *sample.ids]])
        logs = F.log_softmax(wanted.model(*start(ids[:, :-1])).float(), -1)[0]
        for place, (id, drawn) in enumerate(zip(sample.ids, sample.drawn, strict=True), len(PROMPT) - 1):
            loss = loss - advantage * logs[place, id] * drawn
    (loss / 8).backward()
    for micro_tokens in (16, 1000):
        found = trainer_of()
        batches, weights, _ = policy_batches(made, advantages, pad=0, micro_tokens=micro_tokens)
        kept = keep_gradients(found)
        result = found.learn(batches, weights, {}, tokens=8)
        assert result.loss == pytest.approx(float(loss.detach()) / 8, abs=1e-6)
        for name, parameter in wanted.model.named_parameters():
            torch.testing.assert_close(kept[name], parameter.grad, rtol=1e-4, atol=1e-6)


def start(ids):
    from runtime.primitives import Now

    return ids, Now.start(ids, torch.float32)


def keep_gradients(trainer) -> dict:
    kept = {}
    plain = trainer.optimizer.step

    def step(*args, **named):
        kept.update({n: p.grad.clone() for n, p in trainer.model.named_parameters()})
        plain(*args, **named)

    trainer.optimizer.step = step
    return kept


@pytest.mark.parametrize("spec", [SPEC, LOOPED], ids=["plain", "looped"])
def test_the_probability_of_what_is_rewarded_rises(spec):
    """Reward: the share of one id in the answer."""
    trainer = trainer_of(spec=spec)
    dials = {"r": 3} if trainer.dials else {}
    engine = Engine(trainer.model, blueprint(spec), rows=8)
    rewards = []
    for step in range(trainer.schedule.steps):
        requests = [Request(PROMPT, 4, Sampling(seed=step), samples=32, dials=dials)]
        (rollouts,) = roll_out(engine, requests)
        found = [r.ids.count(5) / 4 for r in rollouts]
        rewards.append(sum(found) / len(found))
        advantages = [value - rewards[-1] for value in found]
        batches, weights, _ = policy_batches(rollouts, advantages, pad=0, micro_tokens=512)
        trainer.learn(batches, weights, dials, tokens=sum(r.learnt for r in rollouts))
    assert rewards[-1] > rewards[0] + 0.2


def blueprint(spec):
    from nanogen.compiler import compile_text

    return compile_text(spec).blueprint


def test_rollouts_keep_the_id_that_ended_them():
    trainer = trainer_of()
    engine = Engine(trainer.model, blueprint(SPEC), rows=4)
    requests = [Request(PROMPT, 5, Sampling(seed=n), samples=6, stop=frozenset({4, 5, 6})) for n in range(4)]
    rows = [r for rows in roll_out(engine, requests) for r in rows]
    ended = [r for r in rows if r.reason == "stop"]
    assert ended
    assert len(ended) < len(rows)
    for r in rows:
        assert len(r.ids) == len(r.drawn)
        assert (r.ids[-1] in {4, 5, 6}) == (r.reason == "stop")
        assert not {4, 5, 6} & set(r.text_ids)
