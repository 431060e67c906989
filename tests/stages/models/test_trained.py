"""Finding and loading the model of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.models.trained import find_trained, load_trained


def test_a_model_is_found_by_its_run_its_stage_and_its_folder(trained_run: Path):
    run, runs, wanted = str(trained_run / "small.toml"), trained_run / "runs", trained_run / "runs/small/base"
    assert find_trained(run, runs) == wanted
    assert find_trained(run, runs, "base") == wanted
    assert find_trained(str(wanted), Path("nowhere")) == wanted


@pytest.mark.parametrize(
    ("stage", "message", "help"),
    [
        ("bass", "has no stage `bass`", "it has `corpus`, `tokenizer`, `base`, `evaluation`, `report`"),
        ("corpus", "small/corpus` holds no trained model yet", "nanogen run"),
    ],
)
def test_what_is_not_there_is_told(trained_run: Path, stage: str, message: str, help: str):
    with pytest.raises(Fault, match=message) as fault:
        find_trained(str(trained_run / "small.toml"), trained_run / "runs", stage)
    assert help in fault.value.help
    with pytest.raises(Fault, match="is the folder of a model"):
        find_trained(str(trained_run / "runs/small/base"), trained_run / "runs", stage)


def test_a_base_model_goes_on_with_text_and_says_what_it_is(trained_run: Path):
    trained = load_trained(trained_run / "runs/small/base")
    assert trained.format.name == "plain"
    assert (trained.name, trained.steps, trained.context) == ("small/base", 6, 64)
    assert trained.describe().startswith("small/base: ")
    assert f"{trained.finished:%Y-%m-%d}" in trained.describe()
    assert "step 6" in trained.describe()
