"""What happens to a run from outside: a corpus that is cut off under it, a clock that jumps."""

from __future__ import annotations

import ast
import json
import shutil
import time
from pathlib import Path

import pytest

from runtime.faults import Fault
from runtime.metrics import read_log
from stages.catalogue import load_kind
from stages.runfile.load import load_run
from stages.running.runner import execute
from stages.training import session
from stages.work import Input, Work


@pytest.mark.parametrize("stage", ["tokenizer", "base"])
def test_a_parquet_that_is_cut_off_is_one_message_that_names_it(
    trained_run: Path, tmp_path: Path, told, stage: str
):
    """Also for a stage that is at work already, and was given a folder that was whole."""
    shutil.copytree(trained_run / "runs" / "small", tmp_path / "small")
    run = load_run(trained_run / "small.toml")
    found = run.stage(stage)
    victim = tmp_path / "small" / "corpus" / "train_00000.parquet"
    victim.write_bytes(victim.read_bytes()[:-100])
    inputs = tuple(Input(n, run.stage(n).uses, tmp_path / "small" / n) for n in found.needs)
    (tmp_path / "again").mkdir()
    work = Work("small", stage, found.settings, inputs, tmp_path / "again", 1, told[0], found.compiled)
    with pytest.raises(Fault) as caught:
        load_kind(found.uses).run(work)
    assert f"`{victim}` is not a whole parquet file" in caught.value.message
    assert "make the corpus again" in caught.value.help


class Clock:
    """A wall clock that is set forwards and backwards by hours, at every look."""

    def __init__(self) -> None:
        self.looks = 0
        self.plain = time.time

    def __call__(self) -> float:
        self.looks += 1
        return self.plain() + (-1) ** self.looks * 3600 * (self.looks % 7)


def test_a_clock_that_jumps_changes_no_duration_and_no_save(write_run, told, tmp_path, monkeypatch):
    run = write_run(("evaluate_every = 3", "evaluate_every = 0, save_minutes = 30"))
    clock, saves, plain = Clock(), [], session.Session.write_save
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(time, "time_ns", lambda: int(clock() * 1e9))

    def write_save(self) -> None:
        saves.append(self.trainer.step)
        plain(self)

    monkeypatch.setattr(session.Session, "write_save", write_save)
    folder = execute(run, tmp_path / "runs", told[0])
    assert clock.looks > 5
    assert saves == [6]  # half an hour has not gone by, whatever the clock says
    events = read_log(folder / "base")
    seconds = [e["seconds"] for e in events if e["kind"] == "step"]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] < 1800
    assert all(e.get("tokens_per_second", 1) > 0 for e in events)
    assert 0 < Input("base", "pretrain", folder / "base").result["seconds"] < 1800
    assert all(0 <= json.loads(p.read_text())["seconds"] < 1800 for p in folder.glob("*/manifest.json"))


def test_saves_come_by_the_clock_that_cannot_be_set(write_run, told, tmp_path, monkeypatch):
    run = write_run(("evaluate_every = 3", "evaluate_every = 0, save_minutes = 30"))
    looks, saves, plain = [time.monotonic()], [], session.Session.write_save

    def monotonic() -> float:
        looks[0] += 60.0
        return looks[0]

    def write_save(self) -> None:
        saves.append(self.trainer.step)
        plain(self)

    monkeypatch.setattr(session.Session, "write_save", write_save)
    monkeypatch.setattr(session.time, "monotonic", monotonic)
    execute(run, tmp_path / "runs", told[0])
    assert saves[-1] == 6
    assert len(saves) < 6
    saves.clear()
    quick = write_run(("evaluate_every = 3", "evaluate_every = 0, save_minutes = 0.5"))
    execute(quick, tmp_path / "quick", told[0])
    assert saves == [1, 2, 3, 4, 5, 6]


def test_no_stage_reads_in_a_process_of_its_own():
    """Documents are encoded by threads (see the loader's tests), so there is no worker that can be lost in silence."""
    starts = {"multiprocessing", "concurrent.futures", "subprocess"}
    readers = ("runtime/loader.py", "runtime/corpus.py", "runtime/conversations.py", "runtime/tokenizer.py")
    for name in readers:
        tree = ast.parse((Path(__file__).parents[2] / name).read_text())
        named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        named |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not named & starts
