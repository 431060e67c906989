"""What a run's folder says to whoever looks: its stages, their states, and whether anybody works."""

import fcntl
import sys
import time

import pytest

from runtime.faults import Fault
from runtime.manifest import write_manifest
from stages.logs import run_folder
from stages.logs.run_folder import RunFolder, find_run, lock_is_held, note_plan


def begin(folder, name: str, *, done: bool = False):
    stage = folder / name
    stage.mkdir(parents=True)
    (stage / "work.json").write_text('{"identity": "abc", "needs": {}}')
    if done:
        (stage / "work.json").unlink()
        write_manifest(stage, {"identity": "abc", "needs": {}, "uses": "pretrain", "seconds": 1.0})
    return stage


def test_a_folder_where_nothing_has_begun_has_no_stages(tmp_path):
    run = RunFolder(tmp_path / "none", ("a", "b"))
    assert run.stages() == []
    assert run.pending([]) == ["a", "b"]
    assert not run.at_work([])
    (tmp_path / "empty").mkdir()
    assert RunFolder(tmp_path / "empty").stages() == []


def test_stages_are_those_that_were_begun_in_the_order_of_the_run_file(tmp_path):
    begin(tmp_path, "second", done=True)
    begin(tmp_path, "first", done=True)
    begin(tmp_path, "third")
    begin(tmp_path / ".old", "first-1", done=True)
    (tmp_path / "notes").mkdir()
    stages = RunFolder(tmp_path, ("first", "second", "third", "last")).stages()
    assert [(s.name, s.done) for s in stages] == [("first", True), ("second", True), ("third", False)]
    assert RunFolder(tmp_path, ("first", "second", "third", "last")).pending(stages) == ["last"]
    assert {s.name: s.begun for s in stages}["third"] == {"identity": "abc", "needs": {}}


def test_a_run_file_of_another_run_of_that_name_plans_nothing_and_what_the_run_noted_goes_before(tmp_path):
    begin(tmp_path, "first", done=True)
    run = RunFolder(tmp_path, ("other", "last"))
    assert run.pending(run.stages()) == []
    note_plan(tmp_path, ["zero", "first", "second"])
    assert run.pending(run.stages()) == ["zero", "second"]
    written = (tmp_path / "run.json").stat().st_mtime_ns
    note_plan(tmp_path, ["zero", "first", "second"])
    assert (tmp_path / "run.json").stat().st_mtime_ns == written
    note_plan(tmp_path, ["first"])
    assert run.pending(run.stages()) == []


def test_whether_a_run_is_at_work_is_seen_without_taking_its_lock(tmp_path):
    stage = begin(tmp_path, "first")
    run = RunFolder(tmp_path)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.at_work(run.stages())
    assert stage.is_dir()
    if sys.platform.startswith("linux"):
        assert lock_is_held(tmp_path / ".lock") is False
        assert not run.at_work(run.stages())


def test_where_locks_cannot_be_seen_a_run_that_is_quiet_for_long_counts_as_left(tmp_path, monkeypatch):
    begin(tmp_path, "first")
    monkeypatch.setattr(run_folder, "lock_is_held", lambda path: None)
    run = RunFolder(tmp_path)
    assert run.at_work(run.stages())
    later = time.time() + run_folder.QUIET + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert not run.at_work(run.stages())


def test_a_run_is_found_by_its_name_its_folder_or_its_file(tmp_path):
    runs = tmp_path / "runs"
    begin(runs / "mine", "first")
    (tmp_path / "mine.toml").write_text('kind = "run"\n[stage.first]\nuses = "x"\n[stage.next]\nuses = "y"\n')
    assert find_run("mine", runs).folder == find_run(str(runs / "mine"), runs).folder == runs / "mine"
    found = find_run(str(tmp_path / "mine.toml"), runs)
    assert (found.folder, found.planned) == (runs / "mine", ("first", "next"))
    assert find_run("quickstart", runs).planned[:2] == (
        "corpus",
        "tokenizer",
    )  # not begun, but its file is known
    with pytest.raises(Fault, match="there is no run `mien`") as caught:
        find_run("mien", runs)
    assert "`mine`" in caught.value.help
