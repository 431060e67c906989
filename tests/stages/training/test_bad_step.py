"""A number that is not finite, in the loop of each of the four stages: it is named, and what is on disk is whole."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from runtime.faults import Fault
from runtime.training import Trainer
from stages.runfile.load import load_run
from stages.running.runner import execute

COMMON = 'dtype = "float32", save_minutes = 1e-9, evaluate_every = 0'
TALK = f'uses = "KIND"\nneeds = ["base"]\nwith = {{ tasks = [{{ task = "conversations", path = "talk.jsonl" }}], steps = 4, length = 32, rows = 2, batch_tokens = 128, compile = "no", {COMMON} }}'
STAGES = {
    "midtrain": TALK.replace("KIND", "midtrain"),
    "sft": TALK.replace("KIND", "sft"),
    "rl": f"""uses = "rl"
needs = ["sft"]
with = {{ tasks = [{{ task = "arithmetic", digits = 1, rows = 20 }}], steps = 4, questions = 2, samples = 2, tokens = 4, {COMMON} }}
[stage.sft]
{TALK.replace("KIND", "sft").replace("steps = 4", "steps = 1")}""",
}
NAMED = {
    "base": r"`train_00000\.parquet` row",
    "midtrain": r"`conversations talk\.jsonl` row \d+ of talk\.jsonl",
    "sft": r"`conversations talk\.jsonl` row \d+ of talk\.jsonl",
    "rl": r"an answer to `arithmetic` row \d+",
}
AT = 2  # the step that goes wrong; the saves of the steps before are there


@pytest.fixture
def run(trained_run: Path, tmp_path: Path):
    """A run with one of the stages, and all before it done."""

    def write(stage: str):
        text = (trained_run / "small.toml").read_text()
        if stage == "base":
            text = text.replace("evaluate_every = 3", "evaluate_every = 0, save_minutes = 1e-9")
        else:
            shutil.copytree(trained_run / "runs", tmp_path / "runs")
            text += f"\n[stage.{stage}]\n{STAGES[stage]}\n"
        talk = [
            [{"role": "user", "content": f"Say {n}"}, {"role": "assistant", "content": f"It is {n}."}]
            for n in range(30)
        ]
        (tmp_path / "talk.jsonl").write_text("".join(json.dumps(one) + "\n" for one in talk))
        (tmp_path / "small.toml").write_text(text)
        return load_run(tmp_path / "small.toml")

    return write


def plant(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Trainer], None]) -> None:
    """Call `spoil` on the trainer before it learns of a step."""
    plain = Trainer.learn

    def learn(self: Trainer, *args: Any, **named: Any) -> Any:
        if self.step == AT:
            spoil(self)
        return plain(self, *args, **named)

    monkeypatch.setattr(Trainer, "learn", learn)


def poisoned(trainer: Trainer) -> None:
    """One row of the embedding, of a token that every batch has."""
    with torch.no_grad():
        weight = next(p for name, p in trainer.model.named_parameters() if name == "embed.weight")
        weight[291] = math.nan  # bos


def steep(trainer: Trainer) -> None:
    """The loss is finite, and a gradient is not."""
    parameter = next(p for name, p in trainer.model.named_parameters() if name == "embed.weight")
    parameter.register_hook(lambda grad: torch.full_like(grad, math.inf))


def finite(path: Path) -> bool:
    return all(bool(t.isfinite().all()) for t in load_file(path).values() if t.is_floating_point())


@pytest.mark.parametrize("spoil", [poisoned, steep], ids=["loss", "gradient"])
@pytest.mark.parametrize("stage", ["base", "midtrain", "sft", "rl"])
def test_it_is_named_and_what_is_on_disk_is_whole(run, tmp_path, told, monkeypatch, stage, spoil):
    made = run(stage)
    plant(monkeypatch, spoil)
    with pytest.raises(Fault) as caught:
        execute(made, tmp_path / "runs", told[0])
    what = r"the loss of step 2 is nan in micro-batch 1 of \d, row" if spoil is poisoned else (
        r"the gradient of `embed\.weight` is not finite at step 2, whose loss is -?\d")  # fmt: skip
    assert caught.match(what)
    assert caught.match(f"it learnt from {NAMED[stage]}")
    assert "the save of step 2 is intact" in caught.value.help
    assert "lower the rates of" in caught.value.help
    folder = tmp_path / "runs" / "small" / stage
    saved = sorted((folder / "saves").rglob("*.safetensors"))
    assert {p.parent.name for p in saved} == {"step_000001", "step_000002"}
    assert all(finite(path) for path in saved)
    assert not (folder / "weights.safetensors").exists()
    assert not (folder / "manifest.json").exists()


def test_weights_that_went_bad_are_never_saved(run, tmp_path, told, monkeypatch):
    """A step may be too large for what holds it, and its loss is only seen at the next one."""
    plain = Trainer.run_step

    def run_step(self: Trainer) -> Any:
        result = plain(self)
        if result.step == AT:
            with torch.no_grad():
                next(self.model.parameters()).fill_(math.inf)
        return result

    monkeypatch.setattr(Trainer, "run_step", run_step)
    with pytest.raises(Fault, match="is not finite after 3 steps: nothing was saved of it") as caught:
        execute(run("base"), tmp_path / "runs", told[0])
    assert "the save of step 2 is intact" in caught.value.help
    saved = sorted((tmp_path / "runs" / "small" / "base" / "saves").rglob("*.safetensors"))
    assert saved
    assert all(finite(path) for path in saved)


def test_where_nothing_was_saved_that_is_said(run, tmp_path, told, monkeypatch):
    made = run("base")
    plant(monkeypatch, poisoned)
    monkeypatch.setattr("tests.stages.training.test_bad_step.AT", 0)
    with pytest.raises(Fault, match="the loss of step 0 is nan") as caught:
        execute(made, tmp_path / "runs", told[0])
    assert "nothing was saved yet" in caught.value.help


def test_a_save_that_is_not_whole_is_not_said_to_be(run, tmp_path, told, monkeypatch):
    made = run("base")

    def spoil(trainer: Trainer) -> None:
        poisoned(trainer)
        path = tmp_path / "runs" / "small" / "base" / "saves" / "step_000002" / "weights.safetensors"
        path.write_bytes(path.read_bytes()[:-1])

    plant(monkeypatch, spoil)
    with pytest.raises(Fault) as caught:
        execute(made, tmp_path / "runs", told[0])
    assert "the save of step 1 is intact" in caught.value.help
