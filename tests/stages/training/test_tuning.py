"""Tuning: a step is a step of the optimizer, rows are as long as they are asked for, and the model stays what it is."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from runtime.optimizer import Optimizer
from runtime.training import Trainer
from stages.models.artefact import read_artefact
from stages.models.trained import find_trained, load_trained
from stages.progress import Reporter
from stages.runfile.load import load_run
from stages.running.runner import execute

STEPS, LENGTH, ACCUMULATION = 4, 32, 3
SFT = f"""
[stage.sft]
uses = "sft"
needs = ["base"]
with = {{ tasks = [{{ task = "simple_spelling", rows = 40 }}], steps = {STEPS}, length = {LENGTH}, rows = 2, batch_tokens = {LENGTH * 2 * ACCUMULATION}, rate_scale = 0.5, optimizer = "muon_adamw_2026", schedule = {{ rate = "1 - progress" }}, dtype = "float32", compile = "no" }}
"""


@pytest.fixture(scope="module")
def tuned(trained_run: Path, tmp_path_factory: pytest.TempPathFactory):
    """The folder of a run whose model was tuned, and how often batches were taken and weights moved for it."""
    top = tmp_path_factory.mktemp("tuned")
    shutil.copytree(trained_run / "runs", top / "runs")
    path = top / "small.toml"
    path.write_text((trained_run / "small.toml").read_text() + SFT)
    counts = {"batches": 0, "moves": 0}
    move, learn = Optimizer.step, Trainer.learn

    def moved(self, *args):
        counts["moves"] += 1
        return move(self, *args)

    def learnt(self, batches, *args, **named):
        counts["batches"] += len(batches)
        return learn(self, batches, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Optimizer, "step", moved)
        patch.setattr(Trainer, "learn", learnt)
        folder = execute(load_run(path), top / "runs", Reporter(Console(file=StringIO())))
    return folder, counts


def test_steps_are_those_of_the_optimizer_and_not_micro_batches(tuned):
    folder, counts = tuned
    assert counts == {"batches": STEPS * ACCUMULATION, "moves": STEPS}
    found = json.loads((folder / "sft" / "result.json").read_text())
    assert (found["steps"], found["accumulation"]) == (STEPS, ACCUMULATION)
    lines = [json.loads(line) for line in (folder / "sft" / "metrics.jsonl").read_text().splitlines()]
    # the first step and the last are logged, and the last has come as far down as its schedule goes
    steps = [line for line in lines if line["kind"] == "step"]
    assert [(line["step"], line["rate"]) for line in steps] == [(0, 1), (STEPS - 1, 1 / STEPS)]


def test_rows_of_another_length_leave_the_model_what_it_was(tuned):
    """At nanochat the length of rows becomes the model's context, and with it other windows, once it is read back."""
    folder, _ = tuned
    before, after = (read_artefact(folder / stage).compiled for stage in ("base", "sft"))
    assert before.graph.context > LENGTH
    assert (after.source, after.blueprint) == (before.source, before.blueprint)
    assert json.loads((folder / "sft" / "result.json").read_text())["length"] == LENGTH


def test_rates_follow_the_batch_of_the_stage(tuned):
    folder, _ = tuned
    groups = json.loads((folder / "sft" / "result.json").read_text())["groups"]
    more = (LENGTH * 2 * ACCUMULATION / 2**19) ** 0.5
    assert {g["name"]: g["rate"] for g in groups}["matrix"] == pytest.approx(0.5 * 0.02 * more)


def test_a_tuned_model_says_how_many_steps_it_has_made(tuned):
    folder, _ = tuned
    found = load_trained(find_trained(str(folder / "sft"), folder))
    assert found.steps == STEPS
    assert f"step {STEPS}" in found.describe()
