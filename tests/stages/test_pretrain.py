"""Steps and batches: what the settings say, settled or refused; and what a trained model cost."""

import json

import pytest

from nanogen.answers.flops import training_per_token
from runtime.dials import draw_dials


def test_training_asks_for_the_same_bits_from_the_same_numbers(write_run, told, tmp_path):
    """Without it compiled code adds an embedding's gradients in the order of its threads; CI compares runs."""
    import torch

    from stages.running.runner import execute

    torch.use_deterministic_algorithms(False)
    execute(write_run(), tmp_path / "runs", told[0])
    assert torch.are_deterministic_algorithms_enabled()


def test_flops_are_counted_where_the_dials_stood(write_run, looped, told, tmp_path):
    from stages.running.runner import execute

    run = write_run(looped)
    folder = execute(run, tmp_path / "runs", told[0]) / "base"
    graph, declared = run.compiled.graph, run.compiled.blueprint["dials"]
    drawn = [
        [draw_dials(declared, seed=run.seed, step=step, micro=micro) for micro in range(2)]
        for step in range(6)
    ]
    assert len({dials["r"] for step in drawn for dials in step}) > 1
    wanted = sum(training_per_token(graph, 16, dials) * 32 for step in drawn for dials in step)
    assert json.loads((folder / "result.json").read_text())["flops"] == wanted
    steps = [
        e for line in (folder / "metrics.jsonl").read_text().splitlines() if "loss" in (e := json.loads(line))
    ]
    assert steps[0]["dials"] == {"r": (drawn[0][0]["r"] + drawn[0][1]["r"]) / 2}
    assert steps[-1]["flops"] == wanted


def test_flops_are_those_of_the_rows_that_were_trained_on(write_run, told, tmp_path):
    from stages.running.runner import execute

    run = write_run(("steps = 6", "steps = 1, length = 8"))
    folder = execute(run, tmp_path / "runs", told[0]) / "base"
    wanted = training_per_token(run.compiled.graph, 8) * 64
    assert json.loads((folder / "result.json").read_text())["flops"] == wanted
    assert wanted != training_per_token(run.compiled.graph, 16) * 64


def test_validation_text_is_encoded_once_for_all_evaluations(write_run, told, tmp_path, monkeypatch):
    from runtime import loader
    from stages.running.runner import execute

    plain, made = loader.validation_batches, []

    def counted(*args, **settings):
        made.append(settings.get("split", "of training"))
        return plain(*args, **settings)

    monkeypatch.setattr(loader, "validation_batches", counted)
    folder = execute(write_run(), tmp_path / "runs", told[0]) / "base"
    assert made.count("of training") == 1  # `evaluate_base` names its splits
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["kind"] == "validation" for line in lines) == 3


@pytest.mark.parametrize("model", ["plain", "looped"])
def test_a_log_begins_with_what_it_is_of(write_run, looped, told, tmp_path, model):
    """A step of a model whose dials are drawn costs now more, now less: its log says no figure."""
    from stages.running.runner import execute

    run = write_run(*([looped] if model == "looped" else []))
    folder = execute(run, tmp_path / "runs", told[0]) / "base"
    first, *others = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert "begin" not in {event["kind"] for event in others}
    step = training_per_token(run.compiled.graph, 16) * 64
    assert first == {
        "kind": "begin",
        "steps": 6,
        "parameters": run.compiled.blueprint["count"],
        "step_flops": step if model == "plain" else None,
        "device": first["device"],
        "gpu": first["gpu"],
        "dtype": "float32",
    }
    if model == "plain":
        assert others[-1]["flops"] == 6 * step
