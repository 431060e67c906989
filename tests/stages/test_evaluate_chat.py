"""The evaluation of a chat model: choices are scored by the model as it is, answers written by one laid out for that."""

from __future__ import annotations

import json

import pytest
import torch

from runtime.decoding.engine import Engine
from runtime.decoding.prepack import PrepackedLinear, can_prepack
from runtime.scoring import Scorer
from stages.running.runner import execute
from tests.stages.folders import fill

BEFORE = """uses = "evaluate_base"
needs = ["corpus", "base"]
with = { prompts = ["", "The"], tokens = 4 }"""
TASKS = (
    '{ task = "arithmetic", split = "test", rows = 3, digits = 1 }',
    '{ task = "arc_easy", split = "test" }',
    '{ task = "gsm8k", split = "test", path = "missing" }',
    '{ task = "mmlu", split = "test" }',
)
CHAT = f"""uses = "evaluate_chat"
needs = ["base"]
with = {{ tasks = [{", ".join(TASKS)}], tokens = 4, dtype = "float32" }}"""


def test_choices_are_scored_before_the_model_is_laid_out_for_writing(
    write_run, told, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    """oneDNN, whose order the weights are put into, keeps a kernel for every length of a prompt."""
    monkeypatch.setenv("NANOGEN_DATA", str(fill(tmp_path / "data")))
    score, submit, said = Scorer.score, Engine.submit, []

    def packed(model: torch.nn.Module) -> bool:
        return any(isinstance(module, PrepackedLinear) for module in model.modules())

    def scored(self, *args):
        said.append(("score", packed(self.model)))
        return score(self, *args)

    def submitted(self, request):
        said.append(("write", packed(self.model)))
        return submit(self, request)

    monkeypatch.setattr(Scorer, "score", scored)
    monkeypatch.setattr(Engine, "submit", submitted)
    run = write_run(
        (BEFORE, CHAT), ("context = 16", "context = 128"), ("batch_tokens = 64", "batch_tokens = 256")
    )
    folder = execute(run, tmp_path / "runs", told[0])
    on_cpu = not torch.cuda.is_available()
    laid_out = can_prepack("cpu", torch.float32) and on_cpu
    assert said == [("score", False)] * 2 + [("write", laid_out)] * 3
    found = json.loads((folder / "evaluation" / "result.json").read_text())
    assert [task["task"] for task in found["tasks"]] == [  # as they were asked for
        "arithmetic (test)",
        "arc_easy (test)",
        "gsm8k missing (test)",
        "mmlu (test)",
    ]
    assert [task.get("rows") for task in found["tasks"]] == [3, 5, None, 5]
    assert (found["over"], found["of"]) == (3, 4)
