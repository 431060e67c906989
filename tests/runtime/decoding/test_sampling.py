"""Draws: their distribution, their filters by hand, and that a row is drawn as if it were alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from runtime.decoding.request import Sampling
from runtime.decoding.sampling import Draws, Row, draw, log_probabilities

LOGITS = torch.tensor([0.0, 1.0, 2.0, -1.0, 1.0])
CPU = torch.device("cpu")


def draws(*rows: Row, vocab: int = len(LOGITS)) -> Draws:
    return Draws(rows, vocab, CPU)


def frequencies(**settings: Any) -> Tensor:
    """How often each id is drawn, over many positions."""
    rows = [Row(Sampling(seed=7, **settings), sample) for sample in range(10)]
    drawing = draws(*rows)
    found = [drawing(LOGITS.expand(10, -1), torch.full((10, 1), p)) for p in range(400)]
    return torch.bincount(torch.cat(found), minlength=len(LOGITS)) / 4000


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature: float):
    wanted = (LOGITS / temperature).softmax(0)
    assert torch.allclose(frequencies(temperature=temperature), wanted, atol=0.03)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"top_k": 1}, [2]),
        ({"top_k": 2}, [1, 2, 4]),  # the second place is shared
        ({"top_k": 9}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.53}, [1, 2, 4]),  # 2 alone has 0.52
        ({"top_p": 0.51}, [2]),
        ({"top_p": 0.0}, [2]),
        ({"min_p": 0.3}, [1, 2, 4]),
        ({"min_p": 0.1}, [0, 1, 2, 4]),
        ({"min_p": 1.0}, [2]),
        ({"top_k": 3, "top_p": 0.6}, [1, 2, 4]),
    ],
    ids=str,
)
def test_filters_by_hand(settings: dict, kept: list[int]):
    chances = LOGITS.softmax(0)
    wanted = torch.zeros(len(LOGITS))
    wanted[kept] = chances[kept] / chances[kept].sum()
    found = frequencies(**settings)
    assert not found[wanted == 0].any()
    assert torch.allclose(found, wanted, atol=0.03)


def test_filters_work_on_what_the_temperature_made():
    assert set(frequencies(temperature=0.2, top_p=0.9).nonzero().flatten().tolist()) == {2}
    assert set(frequencies(temperature=5.0, top_p=0.9).nonzero().flatten().tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("temperature", [0, 1e-300, 1e-5, 1e-3])
def test_greedy_takes_the_best_whatever_else_is_asked(temperature: float):
    row = Row(Sampling(temperature, top_k=3, top_p=0.1, seed=3), 0)
    assert draws(row)(LOGITS[None], torch.zeros(1, 1, dtype=torch.int64)).tolist() == [2]


def test_what_is_never_drawn():
    greedy, free = (Row(Sampling(t, seed=1), 0, frozenset({2})) for t in (0, 1.0))
    found = draws(greedy, free)
    drawn = [found(LOGITS.expand(2, -1), torch.full((2, 1), p)).tolist() for p in range(200)]
    assert {a for a, _ in drawn} == {1}
    assert {b for _, b in drawn} == {0, 1, 3, 4}


def test_the_penalty_lowers_what_was_seen():
    logits = torch.tensor([[2.0, 1.5, -1.0, -1.2]])
    place = torch.zeros(1, 1, dtype=torch.int64)
    found = draws(Row(Sampling(0, repetition_penalty=2.0), 0, seen=(0,)), vocab=4)
    assert found(logits, place).tolist() == [1]  # 2 became 1
    found.note([1])
    assert found(logits, place).tolist() == [0]  # 1.5 became 0.75
    below = draws(Row(Sampling(0, repetition_penalty=2.0), 0, frozenset({0, 1}), seen=(2,)), vocab=4)
    assert below(logits, place).tolist() == [3]  # -1 became -2


def test_a_row_is_drawn_as_if_it_were_alone():
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    settings: list[dict] = [{}, {"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.05}, {"repetition_penalty": 1.3}]
    rows = [Row(Sampling(0.9, seed=n, **s), n, seen=(1, 2)) for n, s in enumerate([*settings, {}])]
    place = torch.arange(6)[:, None] * 3
    crowd = draws(*rows, vocab=50)(logits, place)
    alone = [draws(r, vocab=50)(logits[n : n + 1], place[n : n + 1]) for n, r in enumerate(rows)]
    assert crowd.tolist() == torch.cat(alone).tolist()


def test_seeds_samples_and_positions_each_draw_anew():
    flat, place = torch.zeros(1, 1000), torch.zeros(1, 1, dtype=torch.int64)

    def one(seed: int, sample: int, position: int) -> int:
        return int(draws(Row(Sampling(seed=seed), sample), vocab=1000)(flat, place + position))

    assert one(1, 2, 3) == one(1, 2, 3)
    assert len({one(1, 2, 3), one(2, 2, 3), one(1, 3, 3), one(1, 2, 4)}) == 4


def test_the_end_of_the_sum_is_no_way_past_the_last_chance():
    chances = torch.tensor([[0.1, 0.9, 0.0]])
    assert draw(chances, torch.tensor([[1 - 2**-24]])).tolist() == [1]
    assert draw(chances, torch.tensor([[1.0]])).tolist() == [1]
    assert draw(torch.tensor([[0.0, 0.5, 0.5]]), torch.tensor([[0.0]])).tolist() == [1]
    assert draw(torch.full((1, 3), torch.nan), torch.tensor([[0.5]])).item() < 3


def test_log_probabilities_are_the_models_own():
    logits = torch.stack([LOGITS, -LOGITS])
    own, ids, logs = log_probabilities(logits, torch.tensor([4, 3]), 2)
    wanted = logits.log_softmax(-1)
    assert torch.allclose(own, wanted[[0, 1], [4, 3]])
    assert ids[0, 0] == 2
    assert ids[1, 0] == 3
    assert torch.allclose(logs, wanted.gather(1, ids))
    assert draws(Row(Sampling(), 0), Row(Sampling(), 1))(
        logits, torch.zeros(2, 1, dtype=torch.int64)
    ).shape == (2,)
