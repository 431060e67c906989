"""Event files: as TensorBoard reads them, and never with a point twice."""

import pytest

from stages.logs.run_folder import RunFolder
from stages.tracking.forward import Forwarder
from stages.tracking.ledger import Ledger
from stages.tracking.sink import Line, make_sink
from stages.tracking.tensorboard import FILE, TensorBoard, crc32c, event
from tests.stages.tracking.event_file import parse, points, read_events
from tests.stages.watching.folders import make_open


def forward(run):
    """As a process does that was just started."""
    made = Forwarder(RunFolder(run), "tensorboard", make_sink("tensorboard", run), Ledger.read(run))
    made.pump(last=True)
    made.close()


def file_of(run, stage: str = "base"):
    return run / ".tracking" / "tensorboard" / stage / FILE


def test_checksums_are_those_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_an_event_is_a_protocol_buffer():
    made = event(Line(0, 300, 2.5, {"train/loss": 1.5}))
    assert made.hex() == "09000000000000044010ac022a13" + "0a11" + "0a0a" + b"train/loss".hex() + "150000c03f"
    assert parse(made)[2] == [300]


def test_an_event_file_holds_every_figure_with_its_step_and_time(tmp_path):
    make_open(tmp_path, "base", steps=3)
    forward(tmp_path)
    first, *others = read_events(file_of(tmp_path))
    assert first["version"] == b"brain.Event:2"
    assert [(e["step"], e["at"]) for e in others] == [(0, 1000.0), (0, 1001.0), (1, 1002.0), (2, 1003.0)]
    assert others[0]["values"] == {
        "validation/bits_per_byte": 4.5,
        "validation/tokens": 0,
        "validation/flops": 0,
        "validation/seconds": 0,
    }
    assert {tag for _, tag, _ in points(file_of(tmp_path))} >= {
        "train/loss",
        "train/tokens_per_second",
        "train/flops",
    }


def test_what_was_sent_is_not_sent_again_and_what_is_new_is(tmp_path):
    stage = make_open(tmp_path, "base", steps=3)
    forward(tmp_path)
    once = file_of(tmp_path).read_bytes()
    forward(tmp_path)
    assert file_of(tmp_path).read_bytes() == once
    with (stage / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 3, "loss": 2.0}\n')
    forward(tmp_path)
    assert file_of(tmp_path).read_bytes().startswith(once)
    assert points(file_of(tmp_path))[-1] == (3, "train/loss", 2.0)


def test_a_point_that_was_written_and_not_noted_is_not_there_twice(tmp_path, monkeypatch):
    """As a kill between the two leaves it."""
    make_open(tmp_path, "base", steps=3)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "save", lambda self: None)
        forward(tmp_path)
    whole = file_of(tmp_path).read_bytes()
    forward(tmp_path)
    assert file_of(tmp_path).read_bytes() == whole


def test_a_file_that_was_removed_is_written_again_whole(tmp_path):
    make_open(tmp_path, "base", steps=3)
    forward(tmp_path)
    whole = file_of(tmp_path).read_bytes()
    file_of(tmp_path).unlink()
    with (tmp_path / "base" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 3, "loss": 2.0}\n')
    forward(tmp_path)
    assert file_of(tmp_path).read_bytes().startswith(whole)


def test_where_to_look_is_told_once_something_is_there(tmp_path):
    sink = TensorBoard(tmp_path, False)
    assert sink.about() == ""
    make_open(tmp_path, "base", steps=1)
    Forwarder(RunFolder(tmp_path), "tensorboard", sink, Ledger.read(tmp_path)).pump()
    assert str(tmp_path / ".tracking" / "tensorboard") in sink.about()


def test_tensorboard_itself_reads_it(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    make_open(tmp_path, "base", steps=3)
    forward(tmp_path)
    read = accumulator.EventAccumulator(str(file_of(tmp_path).parent))
    read.Reload()
    assert [(p.step, round(p.value, 5)) for p in read.Scalars("train/loss")] == [
        (0, 5.0),
        (1, 4.98),
        (2, 4.96),
    ]
