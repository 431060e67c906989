"""The whole road at the smallest size: pretraining, midtraining, SFT, RL, evaluations and the report, killed or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.runfile.load import Run, load_run
from stages.running.runner import execute
from stages.running.survey import survey
from tests.conftest import LOOPED, RUN

ROAD = """
[stage.mid]
uses = "midtrain"
needs = ["base"]
with = { tasks = [{ task = "arithmetic", rows = 24, digits = 1 }], batch_tokens = 256, rows = 1, dtype = "float32", compile = "no" }
[stage.sft]
uses = "sft"
needs = ["mid"]
with = { tasks = [{ task = "arithmetic", rows = 32, digits = 1 }, { task = "simple_spelling", rows = 8, epochs = 2 }], validation = [{ task = "arithmetic", split = "test", rows = 6, digits = 1 }], epochs = 2, batch_tokens = 256, rows = 2, rate_scale = 1, evaluate_every = 3, save_minutes = 1e-9, dtype = "float32", compile = "no" }
[stage.rl]
uses = "rl"
needs = ["sft"]
with = { tasks = [{ task = "arithmetic", rows = 8, digits = 1 }], validation = [{ task = "arithmetic", split = "test", rows = 3, digits = 1 }], questions = 2, samples = 3, tokens = 12, evaluate_samples = 2, evaluate_every = 2, save_minutes = 1e-9, dtype = "float32" }
[stage.chat]
uses = "evaluate_chat"
needs = ["rl"]
with = { tasks = [{ task = "arithmetic", split = "test", rows = 5, digits = 1 }, { task = "gsm8k", split = "test", path = "missing" }], tokens = 8 }
"""


def write_road(folder: Path, model: str = "plain") -> Run:
    (folder / "texts").mkdir()
    for n in range(20):
        (folder / "texts" / f"{n}.txt").write_text(
            "\n".join(f"{n + k} and {k} make {n + 2 * k}." for k in range(30))
        )
    (folder / "looped.toml").write_text(LOOPED)
    text = RUN.format(path=folder / "texts").replace("context = 16", "context = 128")
    text = text.replace("batch_tokens = 64", "batch_tokens = 256")
    if model == "looped":
        text = text.replace('"saint_iberis_tiny"', '"looped.toml"').replace("width = 64", "width = 16")
    needs = '"evaluation"]'
    assert text.count(needs) == 1
    text = text.replace(needs, '"evaluation", "mid", "sft", "rl", "chat"]')
    path = folder / "road.toml"
    path.write_text(text + ROAD)
    return load_run(path)


def result(folder: Path, stage: str) -> dict:
    return json.loads((folder / stage / "result.json").read_text())


def events(folder: Path, stage: str) -> list[dict]:
    lines = (folder / stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=["plain", "looped"])
def road(request, tmp_path_factory):
    """A run that was left alone: the run, its folder, and what it said."""
    import io

    from rich.console import Console

    from stages.progress import Reporter

    folder, out = tmp_path_factory.mktemp("road"), io.StringIO()
    run = write_road(folder, request.param)
    return run, execute(run, folder / "runs", Reporter(Console(file=out, width=200))), out.getvalue()


def test_each_stage_leaves_a_model_and_what_it_found(road):
    _, folder, _ = road
    for stage in ("base", "mid", "sft", "rl"):
        assert (folder / stage / "weights.safetensors").is_file()
        assert result(folder, stage)["flops"] > 0
    sft = result(folder, "sft")
    assert sft["loss"]["end"] < sft["loss"]["start"]
    assert sft["epochs"] == pytest.approx(2, rel=0.2)
    assert sft["conversations"] == 48
    assert {"pass_1", "pass_2"} <= result(folder, "rl").keys()
    steps = [e for e in events(folder, "rl") if e["kind"] == "step"]
    assert steps[0]["reward"] >= 0
    assert 0 <= steps[0]["cut_off"] <= 1


def test_a_task_that_cannot_be_run_is_told_as_such_and_never_0(road):
    _, folder, told = road
    chat = result(folder, "chat")
    assert chat["over"] == 1
    assert chat["of"] == 2
    assert "not_run" in chat["tasks"][1]
    assert chat["model"] == {"stage": "rl", "kind": "rl"}
    assert "ChatCORE over 1 of 2 tasks" in told


def test_midtraining_learns_every_token_and_sft_what_the_assistant_writes(road):
    _, folder, told = road
    assert result(folder, "mid")["tokens"] / result(folder, "mid")["steps"] > 200  # of 256 in a step
    assert "of them learnt" in told
    assert result(folder, "sft")["tokens"] / result(folder, "sft")["steps"] < 200


class Killed(BaseException):
    """Stands for SIGKILL: nothing may tidy up after it."""


@pytest.mark.parametrize(("stage", "steps"), [("mid", 2), ("sft", 3), ("sft", 4), ("rl", 2), ("rl", 3)])
def test_a_killed_stage_ends_as_if_it_had_not_been(road, told, tmp_path, stage, steps):
    """All that came before is copied; the killed stage is done again, and ends in the same bits."""
    import shutil

    from runtime.training import Trainer

    run, folder, _ = road
    copied = tmp_path / run.name
    shutil.copytree(folder, copied)
    names = [found.name for found in run.stages]
    for name in names[names.index(stage) :]:
        shutil.rmtree(copied / name, ignore_errors=True)
    plain = Trainer.learn

    def learn(self, *args, **named):
        if self.step >= steps:
            raise Killed
        return plain(self, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "learn", learn)
        with pytest.raises(Killed):
            execute(run, tmp_path, told[0])
    states = {found.stage.name: found.state for found in survey(run, copied)}
    assert states[stage] == "interrupted"
    execute(run, tmp_path, told[0])
    assert (copied / stage / "weights.safetensors").read_bytes() == (
        folder / stage / "weights.safetensors"
    ).read_bytes()
    assert events(copied, stage) == events(folder, stage)


def test_a_step_of_rl_answers_and_learns_at_the_same_dials(road, told, tmp_path, monkeypatch):
    """Otherwise the gradient is that of another policy than the one which wrote."""
    import shutil

    from runtime.training import Trainer
    from stages.rl import Policy

    run, folder, _ = road
    shutil.copytree(folder, tmp_path / run.name)
    for name in ("rl", "chat", "report"):
        shutil.rmtree(tmp_path / run.name / name)
    answer, learn, answered, learnt = Policy.answer, Trainer.learn, [], []

    def spied_answer(self, questions, samples, stream, dials):
        answered.extend([dials] if stream[0] == "rollout" else [])
        return answer(self, questions, samples, stream, dials)

    def spied_learn(self, batches, weights, dials, **named):
        # one micro-batch might agree by accident
        result = learn(self, [*batches, *batches], [*weights, *weights], dials, **named)
        learnt.append(result.dials)
        return result

    monkeypatch.setattr(Policy, "answer", spied_answer)
    monkeypatch.setattr(Trainer, "learn", spied_learn)
    execute(run, tmp_path, told[0])
    assert len(answered) == 4
    assert [set(map(str, dials)) for dials in learnt] == [{str(dials)} for dials in answered]
    declared = run.compiled.blueprint["dials"]
    assert all(dials.keys() == declared.keys() for dials in answered)
    if declared:
        assert len({dials["r"] for dials in answered}) > 1


def test_the_report_has_a_column_for_each_state_of_the_model(road):
    _, folder, _ = road
    text = (folder / "report.md").read_text()
    assert "BASE" in text
    assert "RL" in text
    for title in (
        "Results",
        "Pretraining",
        "Midtraining",
        "Fine-tuning",
        "Reinforcement learning",
        "Lineage",
    ):
        assert f"\n## {title}\n" in text
    share = result(folder, "chat")["tasks"][0]
    assert f"{100 * share['accuracy']:.1f}% ({100 * share['low']:.1f} to {100 * share['high']:.1f})" in text
    assert "not run" in text


def test_the_report_is_made_again_from_the_logs_alone(road, tmp_path):
    """Of a run that is done, and of one that crashed within RL."""
    import shutil

    from stages.report import report_again

    run, folder, _ = road
    copied = tmp_path / run.name
    shutil.copytree(folder, copied)
    whole = (copied / "report.html").read_bytes()
    (copied / "report.html").unlink()
    report_again(run, copied)
    assert (copied / "report.html").read_bytes() == whole
    for name in ("result.json", "manifest.json", "weights.safetensors"):
        (copied / "rl" / name).unlink()
    shutil.rmtree(copied / "chat")
    report_again(run, copied)
    text = (copied / "report.md").read_text()
    assert "not finished: step 3 is the last in its log" in text
    assert "Answers of rl" not in text
