"""Samples of a policy, and the batches that its gradient is taken on. Knows nothing of tasks, text or rewards.

    loss = - Σ A_s · log p(token) / N

over the tokens that the model itself drew: those of the prompt and those that a tool put there are ignored. A_s is the
advantage of the sample, N the number of drawn tokens of the whole step. The id that ended a sample was drawn as well,
and is learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import define, field
from torch import Tensor

from runtime.batches import IGNORED, Batch
from runtime.decoding.engine import Engine
from runtime.decoding.request import End, Request, Token

PADDED_TO = 16  # lengths of micro-batches are multiples, so that there are few of them


@define(eq=False)
class Rollout:
    """One sample: the ids after its prompt, and which of them were drawn."""

    prompt: tuple[int, ...]
    ids: list[int] = field(factory=list)
    drawn: list[bool] = field(factory=list)
    reason: str = ""

    @property
    def text_ids(self) -> list[int]:
        """The ids without the one that ended the sample."""
        return self.ids[:-1] if self.reason == "stop" else self.ids

    @property
    def learnt(self) -> int:
        """How many ids the model drew itself."""
        return sum(self.drawn)


def roll_out(engine: Engine, requests: Sequence[Request]) -> list[list[Rollout]]:
    """Every sample of every request, in their order."""
    numbers = {engine.submit(request): place for place, request in enumerate(requests)}
    found = [[Rollout(request.prompt) for _ in range(request.samples)] for request in requests]
    while engine.busy:
        for event in engine.step():
            rollout = found[numbers[event.request]][event.sample]
            match event:
                case Token(id=id, forced=forced):
                    rollout.ids.append(id)
                    rollout.drawn.append(not forced)
                case End(reason=reason, id=id):
                    rollout.reason = reason
                    if id is not None:
                        rollout.ids.append(id)
                        rollout.drawn.append(True)
    return found


def policy_batches(
    rollouts: Sequence[Rollout], advantages: Sequence[float], *, pad: int, micro_tokens: int
) -> tuple[list[Batch], list[Tensor], list[list[int]]]:
    """Batches of samples of like length, up to `micro_tokens` padded tokens each, the weights of their tokens, and
    which sample stands in each row.

    Samples without an advantage move nothing and are left out; if none has one, the shortest stands for them.
    """
    order = sorted(range(len(rollouts)), key=lambda n: _length(rollouts[n]))
    moving = [n for n in order if advantages[n] != 0 and rollouts[n].learnt] or order[:1]
    batches, weights, samples = [], [], []
    while moving:
        length = _padded(_length(rollouts[moving[-1]]))
        rows = max(1, micro_tokens // length)
        moving, chosen = moving[:-rows], moving[-rows:]
        batch, weight = _batch([(rollouts[n], advantages[n]) for n in chosen], length, pad)
        batches.append(batch)
        weights.append(weight)
        samples.append(chosen)
    return batches, weights, samples


def shape_of(tokens: int, longest: int) -> tuple[int, int]:
    """Rows and padded length of the micro-batch that the longest samples make, of so many ids with their prompts."""
    length = _padded(longest - 1)
    return max(1, tokens // length), length


def _length(rollout: Rollout) -> int:
    """Inputs of a sample: all of its ids but the last."""
    return len(rollout.prompt) + len(rollout.ids) - 1


def _padded(length: int) -> int:
    return max(1, -(-length // PADDED_TO)) * PADDED_TO


def _batch(chosen: Sequence[tuple[Rollout, float]], length: int, pad: int) -> tuple[Batch, Tensor]:
    inputs_RT = torch.full((len(chosen), length), pad, dtype=torch.int64)
    targets_RT = torch.full((len(chosen), length), IGNORED, dtype=torch.int64)
    weights_RT = torch.zeros((len(chosen), length))
    for row, (rollout, advantage) in enumerate(chosen):
        ids = torch.tensor([*rollout.prompt, *rollout.ids])
        drawn = torch.tensor([False] * len(rollout.prompt) + rollout.drawn)
        inputs_RT[row, : len(ids) - 1] = ids[:-1]
        targets_RT[row, : len(ids) - 1] = torch.where(drawn[1:], ids[1:], IGNORED)
        weights_RT[row] = advantage
    return (inputs_RT, targets_RT), weights_RT
