"""A run that goes on keeps the rows that it began with: they change the last bits of sums."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attrs import evolve

from nanogen.load import Load
from runtime import checkpoint
from runtime.capacity import Capacity
from stages.planning.plan import make_plan
from stages.planning.target import target
from stages.runfile import machine
from stages.running.runner import execute
from stages.training.fitting import NEAR
from stages.training.footprint import BATCH, BEGUN, MEMORY, RESULTS, SAID, MicroBatch
from stages.training.session import Session

FRESH = MicroBatch(Load(8, 64), 2, bound=RESULTS)
UNSAID = ("batch_tokens = 64, rows = 2", "batch_tokens = 192")


def going_on(state: dict[str, Any] | None, told: list[str]) -> Session:
    work: Any = SimpleNamespace(tell=SimpleNamespace(line=told.append), saves=Path("saves"))
    save: Any = SimpleNamespace(state=state, step=3) if state is not None else None
    nothing: Any = None
    return Session(work, 0, 10.0, save, nothing, nothing)


def test_a_run_that_begins_takes_what_is_settled():
    session = going_on(None, [])
    assert session.cut_as_begun(FRESH) == FRESH
    assert session.rows == 8


def test_a_run_that_goes_on_keeps_its_rows():
    session, told = going_on({"rows": 4}, told := []), told
    assert session.cut_as_begun(FRESH) == MicroBatch(Load(4, 64), 4, bound=BEGUN)
    assert (session.rows, told) == (4, [])
    larger = MicroBatch(Load(16, 64), 1, bound=BATCH)  # another machine has more memory
    assert going_on({"rows": 4}, []).cut_as_begun(larger).load.rows == 4


def test_saves_of_before_had_up_to_eight():
    larger = MicroBatch(Load(96, 64), 1, bound=BATCH)
    assert going_on({}, []).cut_as_begun(larger) == MicroBatch(Load(8, 64), 12, bound=BEGUN)


def test_what_the_file_says_stands_above_what_was_begun():
    said = evolve(FRESH, bound=SAID)
    assert going_on({"rows": 4}, []).cut_as_begun(said) == said


def test_fewer_rows_where_the_memory_holds_no_more_are_told():
    session, told = going_on({"rows": 8}, told := []), told
    fewer = MicroBatch(Load(2, 64), 8, bound=MEMORY)
    assert session.cut_as_begun(fewer) == fewer
    assert "2 rows at once, where the run began with 8" in told[0]


def test_devices_that_share_a_step_otherwise_cut_it_anew():
    own = MicroBatch(Load(6, 64), 1, devices=4, bound=BATCH)
    assert going_on({"rows": 4}, []).cut_as_begun(own) == own


def test_run_does_what_plan_showed(write_run, told, tmp_path, monkeypatch):
    """On a machine whose memory holds three of six rows."""
    kept, saved = [], checkpoint.write_save
    run = write_run(("context = 16", "context = 32"), UNSAID)
    three = MicroBatch(Load(3, 32), 2).ledger(run.stage("base").compiled, 4).total
    on = Capacity("cpu", int(three / NEAR) + 1, bfloat16=False, compiler=True)
    monkeypatch.setattr(machine, "capacity", lambda: on)
    monkeypatch.setattr("stages.planning.target.here", machine.here)
    monkeypatch.setattr(
        checkpoint, "write_save", lambda *args, **kw: kept.append(args[3]["rows"]) or saved(*args, **kw)
    )
    shown = next(stage for stage in make_plan(run, target(run)).stages if stage.name == "base").training
    assert shown is not None
    folder = execute(run, tmp_path / "runs", told[0])
    done = (folder / "base" / "result.json").read_text()
    assert f'"rows": {shown.step.load.rows}' in done
    assert f'"accumulation": {shown.step.accumulation}' in done
    assert set(kept) == {shown.step.load.rows}
    assert shown.step.load.rows == 3
