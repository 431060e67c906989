"""Two processes train as one does: the same curve, half of the optimizer each, saves that either goes on from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.ranks import ALONE
from stages.running.launching import launch
from tests.runtime.ranked import MODELS, RESUMED, SAVED, STEPS, main, resume

CLOSE = 1e-5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process and two have found."""
    folder = tmp_path_factory.mktemp("ranks")
    main(folder)
    assert launch([sys.executable, "-m", "tests.runtime.ranked", str(folder)], 2) == 0
    return folder


def found(folder: Path, name: str, rank: int, count: int) -> dict[str, Any]:
    return json.loads((folder / f"rank_{rank}_of_{count}.json").read_text())[name]


def same(steps: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Losses to 1e-5; tokens and dials to the last."""
    assert len(steps) == len(others)
    assert [s["loss"] for s in steps] == pytest.approx([s["loss"] for s in others], abs=CLOSE)
    assert [(s["tokens"], s["dials"]) for s in steps] == [(s["tokens"], s["dials"]) for s in others]


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_have_the_curve_of_one(trained, name):
    one = found(trained, name, 0, 1)["steps"]
    assert len(one) == STEPS
    assert one[-1]["loss"] < one[0]["loss"] - 0.5
    for rank in range(2):
        same(found(trained, name, rank, 2)["steps"], one)


def test_the_dials_of_a_looped_model_move(trained):
    turns = [dials["r"] for step in found(trained, "looped", 0, 2)["steps"] for dials in step["dials"]]
    assert len(turns) == 3 * STEPS
    assert len(set(turns)) > 2


@pytest.mark.parametrize("name", MODELS)
def test_a_rank_keeps_about_half_of_the_optimizer(trained, name):
    whole = found(trained, name, 0, 1)["bytes"]
    halves = [found(trained, name, rank, 2)["bytes"] for rank in range(2)]
    assert all(half < 0.6 * whole for half in halves)
    assert whole <= sum(halves) < 1.01 * whole


@pytest.mark.parametrize("name", MODELS)
def test_a_save_of_one_is_gone_on_with_by_two_and_back(trained, name):
    one = found(trained, name, 0, 1)["steps"]
    for rank in range(2):
        same(found(trained, name, rank, 2)["resumed"], one[SAVED:])
    same(resume(name, ALONE, trained / "of_2" / name), one[SAVED:])


# -- weights in parts


@pytest.mark.parametrize("name", MODELS)
def test_weights_in_parts_have_the_curve_of_one_process(trained, name):
    one = found(trained, name, 0, 1)["steps"]
    for rank in range(2):
        same(found(trained, name, rank, 2)["sharded"]["steps"], one)


@pytest.mark.parametrize("name", MODELS)
def test_a_rank_holds_about_half_of_weights_gradients_and_state(trained, name):
    whole = found(trained, name, 0, 1)["bytes"]
    for rank in range(2):
        parts = found(trained, name, rank, 2)["sharded"]
        assert 0.4 < parts["held"] / (whole + 8 * parts["parameters"]) < 0.6


def test_parts_go_on_from_their_own_save_bit_for_bit(trained):
    for rank in range(2):
        parts = found(trained, RESUMED, rank, 2)["sharded"]
        assert parts["resumed"] == parts["steps"][SAVED:]


@pytest.mark.parametrize("name", MODELS)
def test_a_save_of_parts_is_gone_on_with_by_one_that_has_all(trained, name):
    same(resume(name, ALONE, trained / "sharded_of_2" / name), found(trained, name, 0, 1)["steps"][SAVED:])


def test_four_go_on_in_parts_with_what_one_process_saved(trained):
    """More than a micro-batch has rows: some compute along with nothing of their own."""
    assert launch([sys.executable, "-m", "tests.runtime.ranked", str(trained), "resumed"], 4) == 0
    for rank in range(4):
        same(found(trained, RESUMED, rank, 4)["resumed"], found(trained, RESUMED, 0, 1)["steps"][SAVED:])
