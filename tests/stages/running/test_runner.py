"""Runs from start to report: what is done stays, what was cut off goes on, what changed is done again."""

import json
import shutil
from pathlib import Path

import pytest

from runtime.faults import Fault
from runtime.manifest import read_manifest
from runtime.metrics import read_metrics
from stages.models.artefact import read_artefact
from stages.running.runner import execute
from stages.running.survey import survey
from stages.training import session


def states(run, folder: Path) -> dict[str, str]:
    return {f.stage.name: f.state for f in survey(run, folder)}


def test_a_run_goes_from_text_to_report_and_then_does_nothing(write_run, told, tmp_path):
    run = write_run()
    tell, out = told
    folder = execute(run, tmp_path / "runs", tell)
    assert set(states(run, folder).values()) == {"done"}
    page = (folder / "report.html").read_text()
    for wanted in ("<svg", "bits per byte", "saint_iberis_tiny", "torch", "Lineage"):
        assert wanted in page
    assert "at the start" in out.getvalue()
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
    execute(run, tmp_path / "runs", tell)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
    assert "nothing to do" in out.getvalue()
    (folder / "report.html").unlink()
    execute(run, tmp_path / "runs", tell)
    assert (folder / "report.html").is_file()
    assert not (folder / "base" / "saves").exists()


class Killed(BaseException):
    """Stands for SIGKILL: nothing may tidy up after it."""


def kill_after(monkeypatch, steps: int) -> None:
    from runtime.training import Trainer

    plain = Trainer.run_step

    def run_step(self):
        if self.step >= steps:
            raise Killed
        return plain(self)

    monkeypatch.setattr(Trainer, "run_step", run_step)


@pytest.mark.parametrize(("steps", "model"), [(3, "plain"), (4, "plain"), (4, "looped")])
def test_a_killed_run_ends_as_if_it_had_not_been(write_run, looped, told, tmp_path, steps, model):
    changes = [looped] if model == "looped" else []
    run = write_run(("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9"), *changes)
    tell, out = told
    straight = execute(run, tmp_path / "straight", tell)
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, steps)
        with pytest.raises(Killed):
            execute(run, tmp_path / "killed", tell)
    folder = tmp_path / "killed" / run.name
    assert states(run, folder)["base"] == "interrupted"
    execute(run, tmp_path / "killed", tell)
    assert f"going on from the save at step {steps}" in out.getvalue()
    for name in ("metrics.jsonl", "weights.safetensors", "tokenizer.json", "model.json"):
        assert (straight / "base" / name).read_bytes() == (folder / "base" / name).read_bytes(), name
    assert times(straight) == times(folder)


def events(folder: Path) -> list[dict]:
    return read_metrics(folder / "base" / "metrics.jsonl")


def times(folder: Path) -> list[tuple]:
    """What was timed; how long it took differs from one run to the next."""
    lines = read_metrics(folder / "base" / "clock.jsonl")
    assert all(line["seconds"] >= 0 and line["at"] > 0 for line in lines)
    return [(line["kind"], line["step"]) for line in lines]


def test_a_kill_between_save_and_evaluation_loses_no_evaluation(write_run, told, tmp_path, monkeypatch):
    run = write_run()
    plain = session.Session.evaluate

    def evaluate(self):
        if self.trainer.step == 3:
            raise Killed
        plain(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Session, "evaluate", evaluate)
        with pytest.raises(Killed):
            execute(run, tmp_path / "runs", told[0])
    folder = execute(run, tmp_path / "runs", told[0])
    steps = [e["step"] for e in events(folder) if e["kind"] == "validation"]
    assert steps == [0, 3, 6]


def test_a_kill_between_the_weights_and_the_manifest_trains_nothing_again(write_run, told, tmp_path):
    """The saves go only once the stage is done, so its end is never the loss of it."""
    from stages.running import runner

    run = write_run()
    with pytest.MonkeyPatch.context() as patch:
        plain = runner.write_manifest

        def write_manifest(folder, facts, **kw):
            if folder.name == "base":
                raise Killed
            return plain(folder, facts, **kw)

        patch.setattr(runner, "write_manifest", write_manifest)
        with pytest.raises(Killed):
            execute(run, tmp_path / "runs", told[0])
    assert states(run, tmp_path / "runs" / run.name)["base"] == "interrupted"
    folder = execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 6 of 6" in told[1].getvalue()
    assert [e["step"] for e in events(folder) if e["kind"] == "validation"] == [0, 3, 6]


@pytest.mark.parametrize(
    ("change", "done"),
    [
        (("depth = 2", "depth = 3"), {"corpus", "tokenizer"}),
        (("context = 16", "context = 8"), {"corpus", "tokenizer"}),
        (("vocab = 300", "vocab = 299"), {"corpus"}),
        (('kind  = "run"', 'kind = "run"\nseed = 7'), {"corpus", "tokenizer"}),
    ],
)
def test_a_change_redoes_those_that_read_it(write_run, told, tmp_path, change, done):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    found = states(write_run(change), folder)
    assert {name for name, state in found.items() if state == "done"} == done


def test_what_reads_a_stage_that_came_out_otherwise_is_done_again(write_run, told, tmp_path):
    run = write_run()
    folder = execute(run, tmp_path / "runs", told[0])
    altered(folder / "corpus")
    assert states(run, folder) == {n: "done" if n == "corpus" else "stale" for n in states(run, folder)}


def altered(folder: Path) -> None:
    """A stage's result as it would be had it come out otherwise, whole and of the same identity."""
    from runtime.manifest import write_manifest

    manifest = read_manifest(folder)
    assert manifest
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result))
    write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("files", "format")})


def test_a_stage_whose_input_came_out_otherwise_in_this_run_keeps_its_old_result(write_run, told, tmp_path):
    run = write_run()
    folder = execute(run, tmp_path / "runs", told[0])
    altered(folder / "corpus")
    execute(run, tmp_path / "runs", told[0])
    (folder / "corpus" / "result.json").unlink()  # made again now, and again as it was at first
    assert states(run, folder)["tokenizer"] == "done"
    execute(run, tmp_path / "runs", told[0])
    assert set(states(run, folder).values()) == {"done"}
    assert (folder / ".old" / "tokenizer-2" / "tokenizer.json").is_file()


def test_a_cut_off_stage_does_not_go_on_over_another_input(write_run, told, tmp_path):
    run = write_run()
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            execute(run, tmp_path / "runs", told[0])
    folder = tmp_path / "runs" / run.name
    assert states(run, folder)["base"] == "interrupted"
    altered(folder / "corpus")
    assert states(run, folder)["base"] == "stale"


def test_a_spec_without_a_name_is_evaluated_and_sampled(write_run, told, tmp_path):
    """It is called after its file, and lies in a folder under another name."""
    from nanogen.shelf import shelf

    text = (shelf() / "saint_iberis_tiny.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace('name   = "saint_iberis_tiny"\n', ""))
    run = write_run(('"saint_iberis_tiny"', '"mine"'))
    folder = execute(run, tmp_path / "runs", told[0])
    assert read_artefact(folder / "base").compiled.graph.context == 16


def test_another_draw_of_a_dial_makes_another_model(write_run, looped, told, tmp_path):
    folder = execute(write_run(looped), tmp_path / "runs", told[0])
    path = tmp_path / "looped.toml"
    path.write_text("# a comment\n" + path.read_text())
    assert states(write_run(looped), folder)["base"] == "done"
    path.write_text(path.read_text().replace("sigma = 0.5", "sigma = 0.25"))
    assert states(write_run(looped), folder)["base"] == "stale"


def test_a_changed_setting_makes_stale_what_follows_and_keeps_the_old(write_run, told, tmp_path):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    changed = write_run(("tokens = 4", "tokens = 5"))
    assert states(changed, folder) == {
        "corpus": "done",
        "tokenizer": "done",
        "base": "done",
        "evaluation": "stale",
        "report": "stale",
    }
    execute(changed, tmp_path / "runs", told[0])
    assert (folder / ".old" / "evaluation-1" / "result.json").is_file()


@pytest.mark.parametrize(
    "change",
    [("evaluate_every = 3", "evaluate_every = 3, save_minutes = 5"), ("[set]", "# a comment\n[set]")],
)
def test_what_cannot_change_a_result_marks_nothing(write_run, told, tmp_path, change):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    assert set(states(write_run(change), folder).values()) == {"done"}


def test_a_change_of_the_text_marks_everything(write_run, told, tmp_path, texts):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    (texts / "00.txt").write_text(
        "Another beginning altogether, and long enough to be a document of its own."
    )
    assert set(states(write_run(), folder).values()) == {"stale"}


def test_a_missing_file_is_seen_and_an_altered_weight_refused(write_run, told, tmp_path):
    run = write_run()
    folder = execute(run, tmp_path / "runs", told[0])
    weights = folder / "base" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Fault, match="is not the file of its manifest"):
        read_artefact(folder / "base")
    weights.unlink()
    assert states(run, folder)["base"] == "stale"


def test_another_tokenizer_is_refused(write_run, told, tmp_path):
    from runtime.manifest import write_manifest

    folder = execute(write_run(), tmp_path / "runs", told[0])
    other = tmp_path / "other"
    shutil.copytree(folder / "base", other)
    content = json.loads((other / "tokenizer.json").read_text())
    content["ranks"][-1], content["ranks"][-2] = content["ranks"][-2], content["ranks"][-1]
    (other / "tokenizer.json").write_text(json.dumps(content))
    manifest = read_manifest(other)
    assert manifest
    write_manifest(other, {k: v for k, v in manifest.items() if k not in ("files", "format")})
    with pytest.raises(Fault, match="was trained with"):
        read_artefact(other)


def test_two_processes_do_not_share_a_run(write_run, told, tmp_path):
    import fcntl

    run = write_run()
    folder = tmp_path / "runs" / run.name
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Fault, match="another process"):
            execute(run, tmp_path / "runs", told[0])
