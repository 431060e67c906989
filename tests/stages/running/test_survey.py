"""What stands of a run, and what is brought back."""

import json
import shutil

import pytest

from runtime.faults import Fault
from stages.running.choice import Choice
from stages.running.listing import actions, rows
from stages.running.old import litter, remove
from stages.running.runner import Wishes, execute
from stages.running.survey import survey
from tests.stages.running.test_runner import Killed, altered, kill_after, states


def test_what_was_made_before_is_brought_back(write_run, told, tmp_path):
    tell, out = told
    folder = execute(write_run(), tmp_path / "runs", tell)
    first = (folder / "base" / "weights.safetensors").read_bytes()
    changed = write_run(("vocab = 300", "vocab = 310"))
    execute(changed, tmp_path / "runs", tell)
    assert (folder / "base" / "weights.safetensors").read_bytes() != first
    assert states(write_run(), folder) == {
        "corpus": "done",
        **dict.fromkeys(("tokenizer", "base", "evaluation", "report"), "set aside"),
    }
    before = len(out.getvalue())
    execute(write_run(), tmp_path / "runs", tell)
    assert (folder / "base" / "weights.safetensors").read_bytes() == first
    assert set(states(write_run(), folder).values()) == {"done"}
    assert "tokens/s" not in out.getvalue()[before:]  # nothing was trained
    assert states(changed, folder)["base"] == "set aside"  # nor was the other one lost


def test_what_was_cut_off_is_brought_back_and_goes_on(write_run, told, tmp_path):
    run, other = write_run(), write_run(("steps = 6", "steps = 5"))
    straight = execute(run, tmp_path / "straight", told[0])
    often = ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9")
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            execute(write_run(often), tmp_path / "runs", told[0])
    folder = execute(other, tmp_path / "runs", told[0])
    assert states(run, folder)["base"] == "set aside"
    execute(run, tmp_path / "runs", told[0])
    assert "going on from the save at step 4 of 6" in told[1].getvalue()
    same = [(f / "base" / "weights.safetensors").read_bytes() for f in (straight, folder)]
    assert same[0] == same[1]


def test_data_that_changed_under_a_model_at_work_is_refused_or_written_down(write_run, told, tmp_path, texts):
    often = ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9")
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            execute(write_run(often), tmp_path / "runs", told[0])
    folder = tmp_path / "runs" / "small"
    altered(folder / "corpus")
    with pytest.raises(Fault, match="cut off at step 4, and its data is another since") as refused:
        execute(write_run(often), tmp_path / "runs", told[0])
    assert "--allow-data-change" in refused.value.help
    assert (folder / "base" / "saves" / "step_000004").is_dir()
    execute(write_run(often), tmp_path / "runs", told[0], Wishes(data_may_change=True))
    assert "going on from the save at step 4 of 6" in told[1].getvalue()
    manifest = json.loads((folder / "base" / "manifest.json").read_text())
    assert manifest["allowed"] == [{"step": 4, "what": "`corpus` was made again and came out otherwise"}]
    assert set(states(write_run(often), folder).values()) == {"done"}


def test_a_tokenizer_that_changed_is_no_data(write_run, told, tmp_path):
    often = ("evaluate_every = 3", "evaluate_every = 3, save_minutes = 1e-9")
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            execute(write_run(often), tmp_path / "runs", told[0])
    folder = tmp_path / "runs" / "small"
    altered(folder / "tokenizer")
    execute(write_run(often), tmp_path / "runs", told[0], Wishes(data_may_change=True))
    assert "again: `tokenizer` was made again and came out otherwise" in told[1].getvalue()


def test_only_some_stages_or_from_one_on(write_run, told, tmp_path):
    run, runs = write_run(), tmp_path / "runs"

    def do(**chosen) -> None:
        execute(run, runs, told[0], Wishes(Choice.of(run, **chosen)))

    with pytest.raises(Fault, match="`base` needs `corpus`, which is missing"):
        do(only=["base"])
    with pytest.raises(Fault, match="no stage `bsae`") as refused:
        do(only=["bsae"])
    assert "`base`" in refused.value.help
    do(only=["corpus", "tokenizer"])
    folder = runs / run.name
    assert states(run, folder)["tokenizer"] == "done"
    assert not (folder / "base").exists()
    execute(run, runs, told[0])
    weights = (folder / "base" / "weights.safetensors").stat().st_mtime_ns
    corpus = (folder / "corpus" / "manifest.json").stat().st_mtime_ns
    do(begin="base")
    assert (folder / "base" / "weights.safetensors").stat().st_mtime_ns > weights
    assert (folder / "corpus" / "manifest.json").stat().st_mtime_ns == corpus
    assert (folder / ".old" / "base-1" / "weights.safetensors").is_file()
    assert set(states(run, folder).values()) == {"done"}


def test_from_a_stage_on_goes_on_after_a_kill(write_run, told, tmp_path, monkeypatch):
    """The same command again, as a queue gives it, does not do again what it has done again."""
    from stages import evaluate_base

    run, runs = write_run(), tmp_path / "runs"
    folder = execute(run, runs, told[0])
    wishes = Wishes(Choice.of(run, begin="base"))

    def killed(work):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(evaluate_base, "run", killed)
        with pytest.raises(Killed):
            execute(run, runs, told[0], wishes)
    made = (folder / "base" / "weights.safetensors").stat().st_mtime_ns
    execute(run, runs, told[0], wishes)
    assert (folder / "base" / "weights.safetensors").stat().st_mtime_ns == made
    assert set(states(run, folder).values()) == {"done"}
    execute(run, runs, told[0], wishes)  # it came to its end: asked for once more, it is done once more
    assert (folder / "base" / "weights.safetensors").stat().st_mtime_ns > made


def test_a_plan_says_what_would_be_done_with_each_stage(write_run, told, tmp_path):
    run = write_run()
    folder = execute(run, tmp_path / "runs", told[0])
    found = survey(run, folder)
    choice = Choice.of(run, begin="evaluation")
    plan = actions(found, choice, choice.stages(run, found))
    assert list(plan.values()) == ["leave", "leave", "leave", "do again", "do again"]
    shutil.rmtree(folder / "evaluation")
    changed = write_run(("steps = 6", "steps = 5"))
    found = survey(changed, folder)
    choice = Choice.of(changed)
    plan = actions(found, choice, choice.stages(changed, found))
    assert list(plan.values()) == ["skip", "skip", "do again", "do", "do again"]
    assert [row.state for row in rows(found)] == ["done", "done", "stale", "missing", "stale"]


def test_old_results_stay_until_they_are_to_go(write_run, told, tmp_path):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    changed = write_run(("tokens = 4", "tokens = 5"))
    execute(changed, tmp_path / "runs", told[0])
    (folder / "gone").mkdir()
    found = list(litter(folder, survey(changed, folder)))
    assert {(i.path.relative_to(folder).as_posix(), i.what) for i in found} == {
        (".old/evaluation-1", "set aside"),
        (".old/report-1", "set aside"),
        ("gone", "of no stage that the run has now"),
    }
    for item in found:
        remove(item)
    assert list(litter(folder, survey(changed, folder))) == []
    assert set(states(changed, folder).values()) == {"done"}


def test_a_log_of_what_was_told_stays(write_run, told, tmp_path):
    folder = execute(write_run(), tmp_path / "runs", told[0])
    log = (folder / "run.log").read_text()
    assert "base  pretrain" in log
    assert "done in" in log
    assert "\x1b" not in log
