"""The evaluation of a base model: bits per byte, samples, CORE, and a cut-off one that goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanogen.text.diagnostics import Refusal
from stages import evaluate_base
from stages.running.runner import execute
from stages.running.survey import survey
from tests.stages.evaluating.test_core_run import write_bundle

WITH = 'prompts = ["", "The"], tokens = 4'


class Killed(BaseException):
    """Stands for SIGKILL."""


def result(folder: Path) -> dict:
    found = json.loads((folder / "evaluation" / "result.json").read_text())
    for task in found["core"]["tasks"]:
        task.pop("seconds", None)
    return found


def with_core(path: str = "bundle") -> tuple[str, str]:
    return WITH, f'{WITH}, core = "{path}", core_dtype = "float32"'


def test_without_a_bundle_core_is_not_run_and_says_so(write_run, told, tmp_path):
    found = result(execute(write_run(), tmp_path / "runs", told[0]))
    assert found["core"]["core"] is None
    assert found["bits_per_byte"] > 0
    assert found["train_bits_per_byte"] > 0
    assert "CORE not run: the run names no evaluation bundle" in told[1].getvalue()


def test_core_is_in_the_result_the_terminal_and_the_report(write_run, told, tmp_path):
    write_bundle(tmp_path / "bundle")
    folder = execute(write_run(with_core()), tmp_path / "runs", told[0])
    core = result(folder)["core"]
    assert [task["task"] for task in core["tasks"]] == ["mops", "towns", "absent"]
    assert core["tasks"][0]["too_long"] > 0  # the model's context is 16
    assert (core["over"], core["of"]) == (2, 3)
    for text in (
        told[1].getvalue(),
        (folder / "report.md").read_text(),
        (folder / "report.html").read_text(),
    ):
        assert "CORE over 2 of 3 tasks" in text
        assert "eval_data/absent.jsonl" in text


def test_reading_is_compiled_where_that_is_asked(write_run, told, tmp_path, monkeypatch):
    from runtime.reading import Reader

    write_bundle(tmp_path / "bundle")
    called = []
    monkeypatch.setattr(Reader, "compile", lambda self: called.append(self))
    execute(write_run(with_core()), tmp_path / "auto", told[0])
    assert not called  # so few ids would not pay
    change = (WITH, f'{WITH}, core = "bundle", core_compile = "yes"')
    execute(write_run(change), tmp_path / "yes", told[0])
    assert len(called) == 1


def test_the_training_split_is_left_out_where_that_is_asked(write_run, told, tmp_path):
    run = write_run((WITH, f"{WITH}, train_tokens = 0"))
    assert result(execute(run, tmp_path / "runs", told[0]))["train_bits_per_byte"] is None


def test_a_cut_off_evaluation_goes_on(write_run, told, tmp_path, monkeypatch):
    write_bundle(tmp_path / "bundle")
    run = write_run(with_core())
    straight = execute(run, tmp_path / "straight", told[0])
    from runtime.scoring import Scorer

    plain, scored = Scorer.score, []

    def score(self, questions, done):
        scored.append(len(questions))
        if len(scored) == 2:
            raise Killed
        return plain(self, questions, done)

    monkeypatch.setattr(Scorer, "score", score)
    with pytest.raises(Killed):
        execute(run, tmp_path / "killed", told[0])
    folder = tmp_path / "killed" / run.name
    assert {f.stage.name: f.state for f in survey(run, folder)}["evaluation"] == "interrupted"

    def never(*_):
        raise AssertionError("this was found before")

    monkeypatch.setattr(evaluate_base, "_bits_per_byte", never)
    monkeypatch.setattr(evaluate_base, "_samples", never)
    execute(run, tmp_path / "killed", told[0])
    assert scored == [12, 5, 5]
    assert result(folder) == result(straight)
    assert not (folder / "evaluation" / "saves").exists()


def test_dials_stand_where_they_are_put(write_run, looped, told, tmp_path):
    write_bundle(tmp_path / "bundle")
    found = {}
    for r in (1, 3):
        change = (WITH, f'{WITH}, core = "bundle", dials = {{ r = {r} }}')
        folder = execute(write_run(looped, change), tmp_path / f"runs{r}", told[0])
        found[r] = result(folder)
        assert found[r]["dials"] == {"r": r}
        assert f"r = {r}" in (folder / "report.md").read_text()
    assert found[1]["bits_per_byte"] != found[3]["bits_per_byte"]


@pytest.mark.parametrize(
    ("dials", "message"),
    [("{ q = 1 }", "`dials`: the model has no dial `q`"), ("{ r = 99 }", "the dial `r` goes from 1 to 9")],
)
def test_dials_that_are_not_there_are_told_before_anything_runs(write_run, looped, dials, message):
    with pytest.raises(Refusal) as refusal:
        write_run(looped, (WITH, f"{WITH}, dials = {dials}"))
    assert message in str(refusal.value)


def test_a_table_of_dials_is_a_table_of_whole_numbers(write_run):
    for dials in ('"r"', '{ r = "2" }'):
        with pytest.raises(Refusal, match=r"expected a (table|whole number)"):
            write_run((WITH, f"{WITH}, dials = {dials}"))


def test_the_bundle_counts_from_the_run_or_from_the_users_data(write_run, tmp_path, monkeypatch):
    def folder() -> Path:
        return Path(write_run(with_core()).stage("evaluation").settings.core)

    write_bundle(tmp_path / "data" / "bundle")
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "data"))
    assert folder() == tmp_path / "data" / "bundle"
    write_bundle(tmp_path / "bundle")
    assert folder() == tmp_path / "bundle"


def test_another_bundle_makes_the_evaluation_stale_and_another_place_does_not(write_run, told, tmp_path):
    def state() -> str:
        run = write_run(with_core())
        return {f.stage.name: f.state for f in survey(run, tmp_path / "runs" / run.name)}["evaluation"]

    write_bundle(tmp_path / "bundle")
    execute(write_run(with_core()), tmp_path / "runs", told[0])
    assert state() == "done"
    (tmp_path / "bundle").rename(tmp_path / "elsewhere")
    run = write_run(with_core("elsewhere"))
    states = {f.stage.name: f.state for f in survey(run, tmp_path / "runs" / run.name)}
    assert states["evaluation"] == "done"
    (tmp_path / "elsewhere").rename(tmp_path / "bundle")
    (tmp_path / "bundle" / "eval_data" / "absent.jsonl").write_text('{"context": "a", "continuation": "b"}')
    assert state() == "stale"
