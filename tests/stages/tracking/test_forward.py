"""What goes to a tracker and when: whole lines once each, over resumes, for every stage, whatever is made anew."""

import json
import shutil

from attrs import define, field

from runtime.manifest import write_manifest
from stages.logs.run_folder import RunFolder
from stages.tracking.forward import Forwarder
from stages.tracking.ledger import Ledger
from tests.stages.watching.folders import make_open


@define
class Recorder:
    """A sink that writes down what it is given."""

    calls: list = field(factory=list)
    ids: int = 0

    def new_id(self):
        self.ids += 1
        return f"id{self.ids}"

    def about(self):
        return ""

    def open(self, stage, mark):
        self.calls.append(("open", mark.name, mark.id, stage.resumed, stage.facts.get("steps")))
        return Open(self.calls, mark.name)


@define
class Open:
    calls: list
    name: str

    def send(self, lines):
        self.calls.extend((self.name, line.number, line.step, sorted(line.figures)[0]) for line in lines)

    def close(self):
        self.calls.append(("close", self.name))


def forwarder(run, sink):
    return Forwarder(RunFolder(run), "recorder", sink, Ledger.read(run))


def sent(sink) -> list[tuple[str, int]]:
    return [call[:2] for call in sink.calls if call[0] not in ("open", "close")]


def add(stage, step: int, *, timed: bool = True) -> None:
    with (stage / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "step", "step": step, "loss": 1.0}) + "\n")
    if timed:
        with (stage / "clock.jsonl").open("a") as file:
            file.write(json.dumps({"kind": "step", "step": step, "seconds": 1.0, "at": 9.0}) + "\n")


def test_lines_go_as_they_come_and_a_stage_that_is_done_is_closed(tmp_path):
    sink, stage = Recorder(), make_open(tmp_path, "base", steps=1)
    made = forwarder(tmp_path, sink)
    assert made.pump() == 3
    assert sink.calls[0] == ("open", "base", "id1", False, 100)
    assert sent(sink) == [("base", 1), ("base", 2)]  # the first line says what the log is of
    assert made.pump() == 0
    add(stage, 1)
    made.pump()
    write_manifest(stage, {"identity": "abc", "needs": {}})
    made.pump()
    made.pump()
    assert sent(sink) == [("base", 1), ("base", 2), ("base", 3)]
    assert sink.calls[-1] == ("close", "base")
    again = Recorder()
    forwarder(tmp_path, again).pump()
    assert again.calls == []


def test_a_line_waits_for_its_time_unless_it_is_the_last(tmp_path):
    sink, stage = Recorder(), make_open(tmp_path, "base", steps=1)
    made = forwarder(tmp_path, sink)
    add(stage, 1, timed=False)
    assert made.pump() == 3
    assert made.pump(last=True) == 1


def test_a_run_that_goes_on_goes_on_in_the_same_tracker_without_a_line_twice(tmp_path):
    """The log is cut back to a save, behind what was sent, and its lines are made again."""
    first, stage = Recorder(), make_open(tmp_path, "base", steps=5)
    before = (stage / "metrics.jsonl").read_bytes()
    made = forwarder(tmp_path, first)
    made.pump()
    (stage / "metrics.jsonl").write_bytes(before[: before.index(b'{"kind": "step", "step": 3')])
    assert made.pump() == 0  # the same process saw it
    second = Recorder()
    resumed = forwarder(tmp_path, second)
    assert resumed.pump() == 0
    assert second.calls == []
    (stage / "metrics.jsonl").write_bytes(before)
    add(stage, 5)
    resumed.pump()
    assert second.calls[0][:4] == ("open", "base", "id1", True)
    assert sent(first) + sent(second) == [("base", n) for n in range(1, 8)]


def test_a_stage_that_is_made_anew_is_another_run_of_the_tracker(tmp_path):
    sink, stage = Recorder(), make_open(tmp_path, "base", steps=2)
    made = forwarder(tmp_path, sink)
    made.pump()
    shutil.rmtree(stage)
    (make_open(tmp_path, "base", steps=1) / "work.json").write_text('{"identity": "other", "needs": {}}')
    made.pump()
    assert [call[:2] for call in sink.calls if call[0] in ("open", "close")] == [
        ("open", "base"),
        ("close", "base"),
        ("open", "base-2"),
    ]
    assert sent(sink)[-2:] == [("base-2", 1), ("base-2", 2)]


def test_stages_that_work_side_by_side_are_open_side_by_side(tmp_path):
    sink = Recorder()
    stages = [make_open(tmp_path, name, steps=1) for name in ("a", "b")]
    made = forwarder(tmp_path, sink)
    made.pump()
    for stage in stages:
        add(stage, 1)
    made.pump()
    assert sorted(sent(sink)) == sorted((name, n) for name in "ab" for n in (1, 2, 3))
    made.close()
    assert sorted(call for call in sink.calls if call[0] == "close") == [("close", "a"), ("close", "b")]


def test_how_far_it_is_stands_in_the_run_and_what_is_broken_there_is_begun_anew(tmp_path):
    make_open(tmp_path, "base", steps=1)
    forwarder(tmp_path, Recorder()).pump()
    found = json.loads((tmp_path / "tracking.json").read_text())
    mark = found["sinks"]["recorder"][0]
    assert (found["format"], mark["stage"], mark["id"], mark["lines"]) == (1, "base", "id1", 3)
    (tmp_path / "tracking.json").write_text('{"format": 1, "sin')
    assert Ledger.read(tmp_path).marks == {}
