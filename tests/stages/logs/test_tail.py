"""A log is read as it grows: half lines wait, and what was cut back is forgotten and read again."""

import json

from runtime.metrics import CLOCK, METRICS, Metrics
from stages.logs.tail import LogTail, Tail


def test_a_half_written_line_waits_until_it_is_whole(tmp_path):
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.read() == []
    path.write_bytes(b"one\ntw")
    assert tail.read() == [b"one"]
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert tail.read() == [b"two", b"three"]
    assert (tail.lines, tail.cuts) == ([b"one", b"two", b"three"], 0)


def test_a_log_that_is_cut_back_is_read_again(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree\n")
    tail = Tail(path)
    tail.read()
    path.write_bytes(b"one\n")
    assert tail.read() == [b"one"]
    assert (tail.lines, tail.cuts) == ([b"one"], 1)


def test_a_log_that_was_cut_back_and_grew_beyond_where_it_was_read_is_read_again(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    tail = Tail(path)
    tail.read()
    with path.open("r+b") as file:
        file.truncate(4)
        file.seek(4)
        file.write(b"another\nand\n")
    assert tail.read() == tail.lines == [b"one", b"another", b"and"]


def test_another_file_under_its_name_is_read_from_its_start(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    tail = Tail(path)
    tail.read()
    path.rename(tmp_path / "aside")
    assert tail.read() == tail.lines == []
    path.write_bytes(b"ONE\ntwo\nthree\n")
    assert tail.lines == []
    assert tail.read() == [b"ONE", b"two", b"three"]


def test_events_have_their_times_also_where_those_come_later(tmp_path):
    metrics, clock = Metrics(tmp_path / METRICS), Metrics(tmp_path / CLOCK)
    tail = LogTail(tmp_path)
    metrics.log(kind="begin")
    metrics.log(kind="step", step=0)
    assert tail.read() == [{"kind": "begin"}, {"kind": "step", "step": 0}]
    clock.log(kind="step", step=0, seconds=1.0)
    metrics.log(kind="step", step=1)
    clock.log(kind="step", step=1, seconds=2.0)
    assert [e.get("seconds") for e in tail.read()] == [None, 1.0, 2.0]


def test_events_of_a_log_that_is_cut_back_are_those_that_are_left(tmp_path):
    metrics, clock = Metrics(tmp_path / METRICS), Metrics(tmp_path / CLOCK)
    for step in range(4):
        metrics.log(kind="step", step=step)
        clock.log(kind="step", step=step, seconds=float(step))
        if step == 1:
            sizes = metrics.size, clock.size
    tail = LogTail(tmp_path)
    assert len(tail.read()) == 4
    for log, size in zip((metrics, clock), sizes, strict=True):
        log.cut(size)
    metrics.log(kind="step", step=2)
    clock.log(kind="step", step=2, seconds=7.0)
    assert [(e["step"], e["seconds"]) for e in tail.read()] == [(0, 0.0), (1, 1.0), (2, 7.0)]


def test_lines_that_are_no_events_are_left_out(tmp_path):
    (tmp_path / METRICS).write_bytes(
        b'{"kind": "step"}\n\xff\n[]\n\n' + json.dumps({"a": 1}).encode() + b"\n"
    )
    assert LogTail(tmp_path).read() == [{"kind": "step"}, {"a": 1}]
