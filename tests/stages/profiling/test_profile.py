"""Real steps of a run under the profiler: the run is untouched, the traces are those that tools read, the times add up."""

import hashlib
import json
import re

import attrs
import pytest

from runtime.faults import Fault
from stages.profiling.profile import Wanted, find_stage, profile
from stages.running.choice import Choice
from stages.running.runner import Wishes, execute

TENSORBOARD = re.compile(r"^(.*?)(\.\d+)?\.pt\.trace\.json(?:\.gz)?$")  # names that torch-tb-profiler reads


def prints(folder) -> dict[str, tuple[str, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in files
    }


@pytest.fixture
def made(write_run, told, tmp_path):
    """A run whose corpus and tokenizer are there, and its folder."""

    def make(*changes):
        run = write_run(*changes)
        wishes = Wishes(Choice(only=frozenset({"corpus", "tokenizer"})))
        return run, execute(run, tmp_path / "runs", told[0], wishes)

    return make


def test_a_step_is_told_by_layer_and_direction(made, told, tmp_path):
    run, folder = made()
    before = prints(folder)
    wanted = Wanted(2, tmp_path / "traces", ("eager",))
    (table,) = profile(run, find_stage(run, None), folder, wanted, told[0])
    assert prints(folder) == before
    rows = {(row.line.kind, row.line.part): row for row in table.rows}
    for kind in ("trunk, slc2", "trunk, attention", "head and loss"):
        assert rows[kind, ""].forward > 0, kind
        assert rows[kind, ""].backward > 0, kind
        assert rows[kind, ""].flops, kind
    for kind in ("embed", "optimizer", "loader"):
        assert rows[kind, ""].seconds > 0, kind
    assert rows["optimizer", ""].backward == rows["loader", ""].backward == 0
    assert {part for kind, part in rows if kind == "trunk, slc2"} == {"", "mix", "mlp", "itself"}
    whole = sum(row.share for row in table.rows if not row.line.part)
    assert 0.5 < whole <= 1.01
    assert len(list((tmp_path / "traces").rglob("*"))) == 2


def test_traces_are_as_tools_read_them(made, told, tmp_path):
    run, folder = made()
    profile(run, run.stage("base"), folder, Wanted(1, tmp_path / "traces", ("eager",)), told[0])
    (path,) = (tmp_path / "traces" / "eager").iterdir()
    assert TENSORBOARD.match(path.name)
    trace = json.loads(path.read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert "nanogen.at trunk.0.mix" in names
    assert any(str(name).startswith("ProfilerStep#") for name in names)


def test_a_loop_and_a_stage_shorter_than_the_steps(made, looped, told, tmp_path):
    run, folder = made(looped)
    (table,) = profile(run, run.stage("base"), folder, Wanted(4, tmp_path / "t", ("eager",)), told[0])
    assert any(row.line.kind.startswith("think") and row.backward > 0 for row in table.rows)


def test_compiled_regions_are_one_line_each(made, told, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.regions.compiled", lambda step, backend=None: step)
    monkeypatch.setattr("runtime.training.compiled", lambda step, backend=None: step)
    run, folder = made()
    (table,) = profile(run, run.stage("base"), folder, Wanted(1, tmp_path / "t", ("compiled",)), told[0])
    assert table.way == "compiled"
    assert {row.line.part for row in table.rows} == {""}
    assert {row.line.kind for row in table.rows} >= {
        "trunk, slc2",
        "trunk, attention",
        "head and loss",
        "embed",
    }


def test_what_the_stage_reads_has_to_be_there(write_run, told, tmp_path):
    run = write_run()
    with pytest.raises(Fault, match="reads `corpus`, which is not done") as caught:
        profile(run, run.stage("base"), tmp_path / "runs" / "small", Wanted(1, tmp_path / "t"), told[0])
    assert "--only corpus" in caught.value.help
    rehearsal = attrs.evolve(run, stand_ins=tmp_path)
    with pytest.raises(Fault) as caught:
        profile(rehearsal, run.stage("base"), tmp_path / "runs" / "small", Wanted(1, tmp_path / "t"), told[0])
    assert "--rehearse" in caught.value.help


def test_a_stage_that_trains_is_asked_for_by_name(write_run):
    run = write_run()
    assert find_stage(run, None) is find_stage(run, "base")
    for name, message in (("corpus", "does not train in `corpus`"), ("bsae", "has no stage `bsae`")):
        with pytest.raises(Fault, match=message) as caught:
            find_stage(run, name)
        assert "`base`" in caught.value.help
