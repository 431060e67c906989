"""Dials: drawn by their law, the same for a run that goes on, and checked when people ask."""

from __future__ import annotations

import pytest
import torch

from runtime.dials import check_dials, draw_dials, lognormal_poisson
from runtime.faults import Fault

SAMPLED = {"draw": "lognormal_poisson", "mean": 4.0, "sigma": 0.5, "max": 16}
# of looped_nanochat for (4, 0.5, 16): chances of 1 to 16
CHANCES = torch.tensor([
    *(0.0577, 0.1271, 0.1634, 0.1619, 0.1380, 0.1070, 0.0780, 0.0547),
    *(0.0374, 0.0251, 0.0167, 0.0111, 0.0073, 0.0048, 0.0032, 0.0066),
])  # fmt: skip


def dial(train: dict | None = None, least: int = 1) -> dict:
    return {"r": {"name": "r", "default": 4, "least": least, "most": 32, "train": train}}


def drawn(declared: dict, count: int, seed: int = 0) -> torch.Tensor:
    places = ((n // 4, n % 4) for n in range(count))
    return torch.tensor([draw_dials(declared, seed=seed, step=s, micro=m)["r"] for s, m in places])


def test_the_draw_is_the_one_of_looped_nanochat():
    found = drawn(dial(SAMPLED), 6000)
    assert float(found.double().mean()) == pytest.approx(4.9855, abs=4 * 2.85 / 6000**0.5)
    shares = torch.bincount(found, minlength=17)[1:] / len(found)
    error = (CHANCES * (1 - CHANCES) / len(found)).sqrt()
    assert ((shares - CHANCES).abs() < 4 * error).all()


def test_without_spread_it_is_poisson_and_one():
    generator = torch.Generator().manual_seed(0)
    found = torch.tensor([lognormal_poisson(2.0, 0.0, generator) for _ in range(4000)]).double()
    assert float(found.mean()) == pytest.approx(3, abs=4 * (2 / 4000) ** 0.5)
    assert float(found.var()) == pytest.approx(2, abs=0.2)


def test_a_draw_follows_from_seed_name_step_and_micro_batch_alone():
    declared = {**dial(SAMPLED), "turns": {**dial(SAMPLED)["r"], "name": "turns"}}
    once = [draw_dials(declared, seed=1, step=s, micro=m) for s in range(8) for m in range(2)]
    for place in reversed(range(16)):
        assert draw_dials(declared, seed=1, step=place // 2, micro=place % 2) == once[place]
    by_name = [tuple(d[name] for d in once) for name in declared]
    other_seed = [draw_dials(declared, seed=2, step=n // 2, micro=n % 2)["r"] for n in range(16)]
    assert len({*by_name, tuple(other_seed), by_name[0][::2] * 2}) == 4


@pytest.mark.parametrize("train", [None, {"draw": "fixed", "mean": 0.0, "sigma": 0.5, "max": 1024}])
def test_what_is_not_drawn_stands_at_its_default(train: dict | None):
    assert set(drawn(dial(train), 8).tolist()) == {4}
    assert draw_dials({}, seed=0, step=0, micro=0) == {}


def test_draws_stay_within_the_bounds_of_the_dial():
    found = set(drawn(dial({**SAMPLED, "max": 5}, least=3), 200).tolist())
    assert found == {3, 4, 5}


def test_what_people_ask_for_is_checked():
    declared = dial(least=2)
    assert check_dials(declared, {}) == {}
    assert check_dials(declared, {"r": 32}) == {"r": 32}
    with pytest.raises(Fault, match="the dial `r` goes from 2 to 32, and 33 is asked for"):
        check_dials(declared, {"r": 33})
    with pytest.raises(Fault, match="goes from 2 to 32, and 1 is"):
        check_dials(declared, {"r": 1})
    with pytest.raises(Fault, match="no dial `depth`") as caught:
        check_dials(declared, {"depth": 4})
    assert caught.value.help == "it has `r`"
    with pytest.raises(Fault, match="no dial `r`") as caught:
        check_dials({}, {"r": 4})
    assert caught.value.help == "it has no dials"
