"""A probe leaves no trace, and a step that does not fit the memory is made again in smaller micro-batches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime import probe as probing
from runtime import rollouts
from runtime.attention_memory import attention
from runtime.capacity import Capacity
from runtime.faults import Fault
from runtime.metrics import CLOCK, METRICS, read_metrics
from runtime.ranks import ALONE
from stages.rl import Question
from stages.runfile.load import Run
from stages.running.comparison import differences
from stages.running.launching import launch
from stages.running.runner import execute
from stages.training.at_once import NAME, STEP
from stages.training.fit import ways_of_rows
from tests.stages.running.rewarding import reward
from tests.stages.training.scarce import Scarce

ROOT = Path(__file__).parents[3]
EIGHT = ("batch_tokens = 64, rows = 2", "batch_tokens = 128, rows = 8")
TWO = ("batch_tokens = 64, rows = 2", "batch_tokens = 128, rows = 2")
PROBED = ('compile = "no"', 'compile = "no", probe = "yes"')
NO_SAVE = ("evaluate_every = 3", "evaluate_every = 0, save_minutes = 1000")
SAVES = ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9")
TUNED = """
[stage.sft]
uses = "sft"
needs = ["base"]
with = { tasks = [{ task = "arithmetic", rows = 24, digits = 1 }], validation = [{ task = "arithmetic", split = "test", rows = 6, digits = 1 }], batch_tokens = 384, rows = 2, evaluate_every = 3, dtype = "float32", compile = "no" }
[stage.rl]
uses = "rl"
needs = ["sft"]
with = { tasks = [{ task = "arithmetic", rows = 9, digits = 1 }], validation = [{ task = "arithmetic", split = "test", rows = 3, digits = 1 }], questions = 3, samples = 3, tokens = 12, evaluate_samples = 2, evaluate_every = 2, dtype = "float32" }
[stage.evaluation]"""
TO_TUNE = [("context = 16", "context = 64"), ("batch_tokens = 64", "batch_tokens = 128")]


@contextmanager
def scarce(**what: Any) -> Iterator[None]:
    found = Scarce(**what)
    found.install()
    try:
        yield
    finally:
        found.remove()


def logged(folder: Path, stage: str = "base") -> list[dict[str, Any]]:
    """The log without what was told of memory."""
    return [e for e in read_metrics(folder / stage / METRICS) if e["kind"] != "fallback"]


def fallbacks(folder: Path, stage: str = "base") -> list[tuple[int, str, int, int]]:
    found = [e for e in read_metrics(folder / stage / METRICS) if e["kind"] == "fallback"]
    return [(e["step"], e["what"], e["before"], e["size"]) for e in found]


def same_end(one: Path, other: Path, stage: str = "base") -> None:
    for name in ("weights.safetensors", "result.json"):
        assert (one / stage / name).read_bytes() == (other / stage / name).read_bytes(), name
    assert logged(one, stage) == logged(other, stage)


# -- the probe


@pytest.mark.parametrize("model", ["plain", "looped"])
def test_a_probe_leaves_no_trace(write_run, looped, told, tmp_path, model):
    changes = [looped] if model == "looped" else []
    straight = execute(write_run(*changes), tmp_path / "straight", told[0])
    assert "predicted" not in told[1].getvalue()  # off a GPU nothing is tried unasked
    run = write_run(PROBED, *changes)
    probed = execute(run, tmp_path / "probed", told[0])
    assert differences(run, straight, probed) == []
    [event] = [e for e in read_metrics(probed / "base" / CLOCK) if e["kind"] == "probe"]
    assert (event["step"], event["rows"], event["tokens"]) == (0, 2, 16)
    assert event["predicted"] > 4 * run.compiled.blueprint["count"]
    assert " at micro-batch 2 x 16; an evaluation " in told[1].getvalue()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells what a process took")
def test_what_a_step_took_is_told_beside_what_was_predicted(write_run, told, tmp_path):
    run = write_run(PROBED)
    folder = execute(run, tmp_path / "runs", told[0])
    [event] = [e for e in read_metrics(folder / "base" / CLOCK) if e["kind"] == "probe"]
    assert event["measured"] > 8 * run.compiled.blueprint["count"]  # weights and moments at least
    assert event["evaluation"] > 0
    [line] = [line for line in told[1].getvalue().splitlines() if "predicted" in line]
    assert ", measured " in line


def test_a_probe_of_all_stages_leaves_no_trace(write_run, told, tmp_path):
    run = write_run(*TO_TUNE, ("[stage.evaluation]", TUNED))
    straight = execute(run, tmp_path / "straight", told[0])
    text = run.path.read_text()
    run = write_run(
        *TO_TUNE, ("[stage.evaluation]", TUNED), ('dtype = "float32"', 'dtype = "float32", probe = "yes"')
    )
    assert run.path.read_text() != text
    probed = execute(run, tmp_path / "probed", told[0])
    assert differences(run, straight, probed) == []
    for stage, measured in (("base", "evaluation"), ("sft", "evaluation"), ("rl", "sampling")):
        [event] = [e for e in read_metrics(probed / stage / CLOCK) if e["kind"] == "probe"]
        assert measured in event, stage


def test_a_run_that_goes_on_elsewhere_is_probed_there_and_ends_the_same(
    write_run, told, tmp_path, monkeypatch
):
    """Then weights and what the optimizer keeps are those of a save, and are put back."""
    run = write_run(PROBED, SAVES)
    straight = execute(run, tmp_path / "straight", told[0])
    runs = tmp_path / "runs"
    assert killed(run, runs, kill=4) == -signal.SIGKILL
    other = Capacity("cpu", 2**50, bfloat16=False, compiler=True, name="another")
    monkeypatch.setattr("stages.runfile.machine.here", lambda *_: other)
    before = told[1].getvalue().count("predicted")
    folder = execute(run, runs, told[0])
    assert "going on from the save at step 4" in told[1].getvalue()
    assert told[1].getvalue().count("predicted") == before + 1
    assert differences(run, straight, folder) == []


def test_a_stage_of_one_step_is_probed_and_one_that_is_done_is_not(write_run, told, tmp_path):
    """Nothing is tried that the schedule does not reach."""
    run = write_run(PROBED, ("steps = 6", "steps = 1"), SAVES)
    straight = execute(run, tmp_path / "straight", told[0])
    assert told[1].getvalue().count("predicted") == 1
    assert killed(run, tmp_path / "runs", kill_evaluation=1) == -signal.SIGKILL
    (tmp_path / "runs" / run.name / "base" / "saves" / NAME).unlink()
    folder = execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 1" in told[1].getvalue()
    assert told[1].getvalue().count("predicted") == 1
    assert differences(run, straight, folder) == []


# -- less at once


def test_a_probe_finds_the_rows_that_fit_and_the_run_is_one_that_began_with_them(write_run, told, tmp_path):
    few = execute(write_run(TWO), tmp_path / "few", told[0])
    run = write_run(EIGHT, PROBED)
    with scarce(rows=3, evaluated=3):
        folder = execute(run, tmp_path / "many", told[0])
    same_end(folder, few)
    assert fallbacks(folder) == [
        (0, "step", 8, 4),
        (0, "evaluation", 8, 4),
        (0, "step", 4, 2),
        (0, "evaluation", 4, 2),
    ]
    out = told[1].getvalue()
    assert out.count("step 0: 8 rows at once do not fit the memory; 4 from here on, 2 times a step") == 1
    assert out.count("step 0: 4 rows at once do not fit the memory; 2 from here on, 4 times a step") == 1
    assert "at micro-batch 2 x 16" in out


@pytest.mark.parametrize("calls", [0, 1])
def test_a_step_midway_is_not_lost(write_run, told, tmp_path, calls):
    """Whether its first micro-batch is too large or a later one, behind which there are gradients."""
    change = EIGHT if not calls else ("batch_tokens = 64, rows = 2", "batch_tokens = 128, rows = 4")
    with scarce(rows=2, since=3, calls=calls):
        folder = execute(write_run(change, SAVES), tmp_path / "fallen", told[0])
    assert fallbacks(folder)[0] == (3, "step", 8 if not calls else 4, 4 if not calls else 2)
    # the same by hand: stopped before that step, and gone on with from there with two rows
    assert killed(write_run(change, SAVES), tmp_path / "hand", kill=3) == -signal.SIGKILL
    (tmp_path / "hand" / "small" / "base" / "saves" / NAME).unlink(missing_ok=True)
    by_hand = execute(write_run(TWO, SAVES), tmp_path / "hand", told[0])
    steps = [e for e in logged(folder) if e["kind"] == "step"]
    assert [e["step"] for e in steps] == [e["step"] for e in logged(by_hand) if e["kind"] == "step"]
    for name in ("weights.safetensors", "result.json"):
        assert (folder / "base" / name).read_bytes() == (by_hand / "base" / name).read_bytes(), name


def killed(run: Run, runs: Path, **what: Any) -> int:
    """The run in a process of its own, on a device that is scarce so; returns how it ended."""
    command = [
        sys.executable,
        "-m",
        "tests.stages.training.scarce",
        "run",
        str(run.path),
        "--runs",
        str(runs),
    ]
    environment = os.environ | {"SCARCE": json.dumps(what)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.parametrize(
    ("saving", "model"),
    [(NO_SAVE, "plain"), (SAVES, "plain"), (NO_SAVE, "looped")],
    ids=["no save", "saves", "looped"],
)
def test_a_run_that_is_killed_after_a_fallback_goes_on_as_it_was(
    write_run, looped, told, tmp_path, saving, model
):
    """Every step has the rows that it had before, though nothing is scarce any more; for a looped model also the draws."""
    changes = [EIGHT, saving, *([looped] if model == "looped" else [])]
    run = write_run(*changes)
    with scarce(rows=3, evaluated=3, since=2):
        straight = execute(run, tmp_path / "straight", told[0])
    wanted = fallbacks(straight)
    assert [f[:2] for f in wanted] == [(2, "step"), (2, "evaluation"), (2, "step"), (2, "evaluation")]
    assert killed(run, tmp_path / "killed", rows=3, evaluated=3, since=2, kill=4) == -signal.SIGKILL
    assert (tmp_path / "killed" / run.name / "base" / "saves" / NAME).is_file()
    folder = execute(run, tmp_path / "killed", told[0])
    assert differences(run, straight, folder) == []
    assert fallbacks(folder) == wanted


def test_what_fits_is_not_asked_again(write_run, told, tmp_path):
    run = write_run(EIGHT, PROBED, SAVES)
    assert killed(run, tmp_path / "runs", rows=3, evaluated=3, kill=0) == -signal.SIGKILL
    folder = execute(run, tmp_path / "runs", told[0])
    assert "predicted" not in told[1].getvalue()
    same_end(folder, execute(write_run(TWO), tmp_path / "few", told[0]))


def test_a_larger_device_is_not_held_to_what_fitted_another_before_anything_was_saved(
    write_run, told, tmp_path, monkeypatch
):
    run = write_run(EIGHT, PROBED, NO_SAVE)
    assert killed(run, tmp_path / "runs", rows=3, evaluated=3, kill=2) == -signal.SIGKILL
    assert json.loads((tmp_path / "runs" / run.name / "base" / "saves" / NAME).read_text())["changes"]
    other = Capacity("cpu", 2**50, bfloat16=False, compiler=True, name="another")
    monkeypatch.setattr("stages.runfile.machine.here", lambda *_: other)
    folder = execute(run, tmp_path / "runs", told[0])
    assert fallbacks(folder) == []
    assert json.loads((folder / "base" / "result.json").read_text())["rows"] == 8


def test_rows_that_the_file_says_anew_are_tried_anew(write_run, told, tmp_path):
    run = write_run(EIGHT, SAVES)
    assert killed(run, tmp_path / "runs", rows=3, evaluated=3, kill=2) == -signal.SIGKILL
    four = write_run(("batch_tokens = 64, rows = 2", "batch_tokens = 128, rows = 4"), SAVES)
    folder = execute(four, tmp_path / "runs", told[0])
    assert json.loads((folder / "base" / "result.json").read_text())["rows"] == 4


def test_an_evaluation_falls_back_by_itself(write_run, told, tmp_path):
    run = write_run(EIGHT)
    with scarce(evaluated=3, since=3):
        folder = execute(run, tmp_path / "runs", told[0])
    assert fallbacks(folder) == [(3, "evaluation", 8, 4), (3, "evaluation", 4, 2)]
    straight = execute(run, tmp_path / "straight", told[0])
    weights = [(f / "base" / "weights.safetensors").read_bytes() for f in (straight, folder)]
    assert weights[0] == weights[1]
    kinds = [[e["kind"] for e in logged(f)] for f in (straight, folder)]
    assert kinds[0] == kinds[1]


def test_where_not_one_row_fits_one_message_says_what_would(write_run, told, tmp_path):
    run = write_run(
        EIGHT, PROBED, ("context = 16", "context = 128"), ("batch_tokens = 128", "batch_tokens = 1024")
    )
    with scarce(rows=0), pytest.raises(Fault) as caught:
        execute(run, tmp_path / "runs", told[0])
    assert "`base`: not even one row fits the memory: a step of 1 row of 128 takes" in caught.value.message
    assert "by the plan, and" in caught.value.message
    assert "`length = 64`" in caught.value.help
    assert "`depth = 1`" in caught.value.help


def test_without_memory_to_move_the_weights_the_next_start_has_fewer_rows(write_run, told, tmp_path):
    """Some may have moved, so that step cannot be made again: the run ends, and goes on from its save."""
    run = write_run(EIGHT, SAVES)
    with scarce(moving=4), pytest.raises(Fault) as caught:
        execute(run, tmp_path / "runs", told[0])
    assert "not enough memory for the weights to be moved in step 4" in caught.value.message
    assert "with 4 rows at once from step 4 on" in caught.value.help
    folder = execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 4" in told[1].getvalue()
    assert fallbacks(folder) == [(4, "step", 8, 4), (4, "evaluation", 8, 4)]


# -- answers


ANSWERING = [*TO_TUNE, ("[stage.evaluation]", TUNED)]


def rl_again(run: Run, folder: Path, runs: Path, tell: Any) -> Path:
    """The run with its last training done anew, from what it learnt before."""
    shutil.copytree(folder, runs / run.name)
    shutil.rmtree(runs / run.name / "rl")
    return execute(run, runs, tell)


def test_answers_and_their_gradients_fall_back_and_no_answer_is_lost(write_run, told, tmp_path, monkeypatch):
    """To what a run that began so has: of answers written at once, and of tokens that gradients are taken on."""
    monkeypatch.setattr(Question, "reward", reward)
    small = ("tokens = 12,", "tokens = 12, rows = 4, micro_tokens = 128,")
    begun = execute(write_run(*ANSWERING, small), tmp_path / "small", told[0])
    many = ("tokens = 12,", "tokens = 12, rows = 8, micro_tokens = 512,")
    run, asked, plain = write_run(*ANSWERING, many), [], rollouts.roll_out

    def scarce_roll_out(engine: Any, requests: Any) -> Any:
        asked.append(engine.rows)
        if engine.rows > 4:
            engine.submit(requests[0])  # half way
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(engine, requests)

    monkeypatch.setattr(rollouts, "roll_out", scarce_roll_out)
    with scarce(tokens=128):
        folder = rl_again(run, begun, tmp_path / "runs", told[0])
    same_end(folder, begun, "rl")
    # the first evaluation finds that eight are too many, and the first step that 512 and 256 are
    assert fallbacks(folder, "rl") == [(0, "sampling", 8, 4), (0, "step", 512, 256), (0, "step", 256, 128)]
    steps = sum(e["kind"] == "step" for e in logged(folder, "rl"))
    checks = sum(e["kind"] == "validation" for e in logged(folder, "rl"))
    assert len(asked) == 1 + steps + checks  # no answer was written twice but for those that did not fit
    assert "8 answers written at once do not fit the memory; 4 from here on" in told[1].getvalue()


def test_a_probe_of_answers_finds_what_fits(write_run, told, tmp_path, monkeypatch):
    monkeypatch.setattr(Question, "reward", reward)
    small = ("tokens = 12,", "tokens = 12, rows = 4, micro_tokens = 128,")
    begun = execute(write_run(*ANSWERING, small), tmp_path / "small", told[0])
    many = ("tokens = 12,", 'tokens = 12, rows = 9, micro_tokens = 512, probe = "yes",')
    run, plain = write_run(*ANSWERING, many), probing.try_answers

    def scarce_answers(engine: Any, *, rows: int, **named: Any) -> None:
        if rows > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        plain(engine, rows=rows, **named)

    monkeypatch.setattr(probing, "try_answers", scarce_answers)
    with scarce(tokens=128):
        folder = rl_again(run, begun, tmp_path / "runs", told[0])
    same_end(folder, begun, "rl")
    assert fallbacks(folder, "rl") == [(0, "sampling", 9, 4), (0, "step", 512, 256), (0, "step", 256, 128)]


# -- ranks


def by_two(run: Run, runs: Path, monkeypatch: pytest.MonkeyPatch, **what: Any) -> Path:
    monkeypatch.setenv("SCARCE", json.dumps(what))
    module = "tests.stages.training.scarce"
    assert launch([sys.executable, "-m", module, "run", str(run.path), "--runs", str(runs)], 2) == 0
    return runs / run.name


@pytest.mark.parametrize(("since", "calls"), [(0, 0), (3, 1)], ids=["first step", "on the way"])
def test_ranks_fall_back_together_where_one_has_too_little(
    write_run, told, tmp_path, monkeypatch, since, calls
):
    """In the first step nothing of it is on its way yet; later some buckets of its last micro-batch may be."""
    run = write_run(("batch_tokens = 64, rows = 2", "batch_tokens = 256, rows = 4"))
    folder = by_two(run, tmp_path / "two", monkeypatch, rows=2, since=since, calls=calls, rank=1)
    assert fallbacks(folder) == [(since, "step", 4, 2), (since, "evaluation", 4, 2)]
    with scarce(rows=2, since=since):
        alone = execute(run, tmp_path / "one", told[0])
    ours, theirs = logged(folder), logged(alone)
    assert [(e["kind"], e.get("step")) for e in ours] == [(e["kind"], e.get("step")) for e in theirs]
    for event, wanted in zip(ours, theirs, strict=True):
        assert event == pytest.approx(wanted, abs=1e-5)


def test_ranks_are_probed_together(write_run, tmp_path, monkeypatch, capfd):
    run = write_run(EIGHT, PROBED)
    folder = by_two(run, tmp_path / "fallen", monkeypatch, rows=2, evaluated=2, rank=1)
    out = capfd.readouterr().out
    assert out.count("predicted") == 1
    few = by_two(write_run(TWO), tmp_path / "few", monkeypatch)
    same_end(folder, few)
    assert fallbacks(folder) == [
        (0, "step", 8, 2),
        (0, "evaluation", 8, 2),
    ]  # four at once on each rank, then two


def test_ranks_that_find_no_room_for_a_row_say_so_once(write_run, tmp_path, monkeypatch, capfd):
    run = write_run(EIGHT, PROBED)
    monkeypatch.setenv("SCARCE", json.dumps({"rows": 0, "rank": 1}))
    module = "tests.stages.training.scarce"
    assert (
        launch([sys.executable, "-m", module, "run", str(run.path), "--runs", str(tmp_path / "runs")], 2) == 1
    )
    err = capfd.readouterr().err
    assert err.count("error") == 1
    assert "error: `base`: not even one row fits the memory" in err
    assert "Traceback" not in err


def test_a_rank_without_memory_to_move_the_weights_ends_all_with_one_message(
    write_run, told, tmp_path, monkeypatch, capfd
):
    run = write_run(EIGHT, SAVES)
    monkeypatch.setenv("SCARCE", json.dumps({"moving": 4, "rank": 1}))
    module = "tests.stages.training.scarce"
    assert (
        launch([sys.executable, "-m", module, "run", str(run.path), "--runs", str(tmp_path / "runs")], 2) == 1
    )
    err = capfd.readouterr().err
    assert err.count("error") == 1
    assert (
        "error: rank 1 of 2: `base`: there was not enough memory for the weights to be moved in step 4" in err
    )
    monkeypatch.delenv("SCARCE")
    folder = execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 4" in told[1].getvalue()
    assert fallbacks(folder)[0] == (4, "step", 8, 2)


def test_a_step_is_predicted_with_what_was_planned():
    """As the device attends, too, whatever rows are computed at once."""
    compiled = compile_file(find("nanochat_2025", "model"), {"depth": 2})
    planned = Load(8, 64, attention=attention("cpu", compiled=True))
    trainer: Any = SimpleNamespace(step_rows=16, draws=False, ranks=ALONE)
    session: Any = SimpleNamespace(trainer=trainer, load=planned)
    load = ways_of_rows(session, compiled, 64, evaluates=False)[STEP].load
    assert load is not None
    assert (load(4).rows, load(4).tokens, load(4).attention) == (4, 64, planned.attention)
