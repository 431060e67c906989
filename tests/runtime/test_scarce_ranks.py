"""A rank that runs out of memory in the midst of a backward pass: all drop the step, and make it again together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from stages.running.launching import launch
from tests.runtime.ranked_scarce import MODELS, SCARCE_RANK, STEPS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scarce")
    assert launch([sys.executable, "-m", "tests.runtime.ranked_scarce", str(folder)], 2) == 0
    return folder


@pytest.mark.parametrize("way", ["in backward", "in a bucket"])
@pytest.mark.parametrize("name", MODELS)
def test_the_step_is_made_again_with_buckets_on_their_way(trained: Path, name: str, way: str):
    for rank in range(2):
        ours = json.loads((trained / f"rank_{rank}.json").read_text())[name]
        wanted, found = ours["by hand"], ours[way]
        assert (found["fallen"], found["rows"], len(found["losses"])) == (1, 1, STEPS)
        assert bool(found["sent"]) == (rank == SCARCE_RANK)
        assert all(number > 0 for number in found["sent"])  # some had been sent
        assert (found["losses"], found["weights"]) == (wanted["losses"], wanted["weights"])
