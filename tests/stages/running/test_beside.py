"""Stages side by side: the same result, all output with its stage's name, and one that fails stops the others."""

import pytest

from runtime.faults import Fault
from stages.running.choice import Choice
from stages.running.comparison import differences
from stages.running.runner import Wishes, execute
from tests.stages.running.test_runner import states
from tests.stages.running.test_stopping import begin, until_a_step

TWO = (
    "[stage.report]",
    '[stage.again]\nuses = "evaluate_base"\nneeds = ["corpus", "base"]\nwith = { prompts = ["And"], tokens = 3 }\n'
    "[stage.report]",
)


def test_stages_side_by_side_make_the_same(write_run, told, tmp_path, capfd):
    run = write_run(TWO)
    straight = execute(run, tmp_path / "straight", told[0])
    folder = execute(run, tmp_path / "runs", told[0], Wishes(jobs=2))
    assert differences(run, straight, folder) == []
    printed = capfd.readouterr().out
    assert "again | again  evaluate_base" in printed
    assert "evaluation | evaluation  evaluate_base" in printed
    log = (folder / "run.log").read_text()
    assert "base | base  pretrain" in log
    assert not list(folder.glob(".*.answer"))
    execute(run, tmp_path / "runs", told[0], Wishes(jobs=2))
    assert "nothing to do" in told[1].getvalue()


def test_one_that_fails_is_named_with_its_reason(write_run, told, tmp_path):
    run = write_run(TWO)
    folder = execute(run, tmp_path / "runs", told[0], Wishes(Choice.of(run, only=["corpus", "tokenizer"])))
    (folder / "tokenizer" / "tokenizer.json").write_bytes(
        (folder / "tokenizer" / "tokenizer.json").read_bytes()[:-2] + b" \n"
    )
    with pytest.raises(Fault, match=r"`base`: `.*tokenizer.json` is not the file of its manifest"):
        execute(run, tmp_path / "runs", told[0], Wishes(jobs=2))
    assert states(run, folder)["base"] == "missing"


def test_a_child_saves_and_ends_when_its_parent_is_killed(write_run, told, tmp_path):
    """And the same command, given at once, waits for it."""
    run = write_run(("steps = 6", "steps = 300"), ("evaluate_every = 3", "evaluate_every = 0"))
    straight = execute(run, tmp_path / "straight", told[0])
    process = begin(run.path, tmp_path / "runs", "--jobs", "2")
    folder = tmp_path / "runs" / run.name
    until_a_step(process, folder / "base")
    process.kill()
    process.communicate()
    again = begin(run.path, tmp_path / "runs", "--jobs", "2")
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, out + err
    assert "going on from the save at step" in out
    assert differences(run, straight, folder) == []
