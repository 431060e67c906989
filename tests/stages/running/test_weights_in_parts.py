"""A run whose ranks keep parts of the weights: as its plan says, to the end of one process, and no further than all."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import attrs
import pytest

from nanogen.text.diagnostics import Refusal
from runtime.capacity import Capacity
from stages.planning.drawing import drawn, record
from stages.planning.plan import make_plan
from stages.planning.target import target
from stages.runfile.load import Run, load_run
from stages.running.survey import DONE, survey
from tests.stages.running.test_ranks import KILLED_AFTER, begin, done, process_of, same, straight, write_run

__all__ = ["straight"]  # a fixture

TOLD = "weights sharded over 2 ranks"
HARDWARE = """
kind = "hardware"
about = "Made for a test."
device = "cpu"
count = 2
memory = {memory}
bandwidth = 1e9
peak = {{ float32 = 1e9 }}
mfu = 0.5
"""


def written(run: Run, folder: Path, *changes: tuple[str, str]) -> Run:
    """The run, changed, under its own name in another folder."""
    text, path = run.path.read_text(), folder / run.path.name
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    path.write_text(text)
    return load_run(path)


def sharded(run: Run, folder: Path) -> Run:
    """The same with weights in parts where it learns from what is written already."""
    return written(
        run,
        folder,
        ("steps = 60, ", 'steps = 60, weights = "sharded", '),
        ("batch_tokens = 384, ", 'batch_tokens = 384, weights = "sharded", '),
    )


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_one_is_killed_and_any_number_goes_on_with_weights_whole_or_not(straight, tmp_path):
    """Two in parts save; one is killed; two go on, and so does one that has all."""
    (run, folder), runs = straight, tmp_path / "runs"
    parts = sharded(run, tmp_path / "parts")
    process = begin(parts, runs, 2)
    save = runs / run.name / "base" / "saves" / f"step_{KILLED_AFTER:06d}"
    while not save.is_dir():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    at = time.monotonic()
    os.kill(process_of(process, 1), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert time.monotonic() - at < 60
    assert TOLD in out
    assert err.count("error") == 1, err
    assert "error: rank 1 of 2 is gone" in err
    assert "Traceback" not in err

    whole = tmp_path / "whole"
    shutil.copytree(runs, whole)
    out = done(begin(parts, runs, 2, "--only", "base"))
    assert "going on from the save at step" in out
    assert TOLD in out
    same(runs / run.name, folder, "base")
    out = done(begin(run, whole, 1, "--only", "base"))  # its file says nothing of parts
    assert "going on from the save at step" in out
    same(whole / run.name, folder, "base")
    assert next(f for f in survey(run, runs / run.name) if f.stage.name == "base").state == DONE


def test_two_ranks_tune_in_parts_as_one_process_does(straight, tmp_path):
    run, folder = straight
    parts = sharded(run, tmp_path / "parts")
    shutil.copytree(folder, tmp_path / "runs" / run.name)
    shutil.rmtree(tmp_path / "runs" / run.name / "sft")
    assert TOLD in done(begin(parts, tmp_path / "runs", 2, "--only", "sft"))
    same(tmp_path / "runs" / run.name, folder, "sft")


def test_the_plan_decides_by_memory_and_the_run_does_the_same(tmp_path):
    changes = (("depth = 2", "depth = 12"), ("steps = 60", "steps = 4"))
    plain = written(write_run(tmp_path), tmp_path / "deep", *changes)
    base = plain.stage("base")
    on = Capacity("cpu", 10**9, bfloat16=False, compiler=True, devices=2)
    kind, settings = base.kind, base.settings
    steps = {
        which: kind.micro_batch(attrs.evolve(settings, weights=which), base.compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
        for which in ("whole", "sharded")
    }
    needed = {which: step.ledger(base.compiled, 4).total for which, step in steps.items()}
    assert needed["sharded"] < needed["whole"]
    sent: list[int] = []
    for memory, wanted in ((needed["whole"] / 0.9 + 9, False), (needed["whole"] / 0.9 - 9, True)):
        (tmp_path / "two.toml").write_text(HARDWARE.format(memory=int(memory)))
        named = written(
            plain, tmp_path / "named", ('kind  = "run"', f'kind = "run"\nhardware = "{tmp_path}/two.toml"')
        )
        plan = make_plan(named, target(named))
        found = next(stage.training for stage in plan.stages if stage.name == "base")
        assert found is not None
        assert found.step.sharded == wanted
        assert found.fits
        sent.append(found.sent)
        told = next(s["training"] for s in record(plan)["stages"] if s["stage"] == "base")
        assert told["weights"]["sharded_over"] == (2 if wanted else 1)
        assert bool(told["memory"]["gathered"]) == wanted
        why = "weights sharded over 2 devices: with all weights on each, one row would take"
        assert (told["weights"]["why"] or "").startswith(why) == wanted
    assert why in drawn(plan)
    assert sent[1] > 2 * sent[0] > 0  # weights come before each forward and each backward
    assert TOLD in done(
        begin(named, tmp_path / "runs", 2, "--only", "corpus", "--only", "tokenizer", "--only", "base")
    )


def test_what_writes_answers_is_refused_before_anything_runs(straight, tmp_path):
    run, _ = straight
    with pytest.raises(Refusal) as refused:
        written(run, tmp_path, ("questions = 3, ", 'questions = 3, weights = "sharded", '))
    [fault] = refused.value.diagnostics
    assert fault.message == "`weights` is sharded, and answers are written with whole weights"


def test_one_process_has_all_weights_whatever_is_said(straight, tmp_path):
    parts = sharded(straight[0], tmp_path)
    base, on = parts.stage("base"), Capacity("cpu", 10**9, bfloat16=False, compiler=True)
    step = base.kind.micro_batch(base.settings, base.compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
    assert not step.sharded
