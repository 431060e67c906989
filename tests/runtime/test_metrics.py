"""The log: appended, cut back to a save, read past a torn last line, joined with what a clock measured."""

from runtime.metrics import CLOCK, METRICS, Metrics, Unheard, read_log, read_metrics


def test_a_log_is_cut_back_and_goes_on(tmp_path):
    log = Metrics(tmp_path / "metrics.jsonl")
    log.log(step=0)
    size = log.size
    log.log(step=1)
    log.cut(size)
    log.log(step=1, again=True)
    assert read_metrics(log.path) == [{"step": 0}, {"step": 1, "again": True}]


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"st')
    assert read_metrics(path) == [{"step": 0}]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_a_log_that_is_shorter_than_its_save_says_is_not_filled_up(tmp_path):
    log = Metrics(tmp_path / "metrics.jsonl")
    log.log(step=0)
    before = log.path.read_bytes()
    log.cut(1000)
    assert log.path.read_bytes() == before


def test_a_line_that_is_no_event_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 0}\n[1]\n7\n\xff\xfe\n{"step": 1}\n')
    assert read_metrics(path) == [{"step": 0}, {"step": 1}]


def test_events_are_joined_with_their_times(tmp_path):
    """A validation is of the same step as the training that follows it, and each has a time of its own."""
    metrics, clock = Metrics(tmp_path / METRICS), Metrics(tmp_path / CLOCK)
    metrics.log(kind="begin", steps=2)
    for kind, seconds in (("validation", 0.0), ("step", 1.5)):
        metrics.log(kind=kind, step=0)
        clock.log(kind=kind, step=0, seconds=seconds)
    metrics.log(kind="step", step=1)  # killed before its time was written
    assert read_log(tmp_path) == [
        {"kind": "begin", "steps": 2},
        {"kind": "validation", "step": 0, "seconds": 0.0},
        {"kind": "step", "step": 0, "seconds": 1.5},
        {"kind": "step", "step": 1},
    ]


def test_a_log_that_holds_its_times_itself_is_read_as_it_is(tmp_path):
    (tmp_path / METRICS).write_text('{"kind": "step", "step": 0, "seconds": 2.0}\n')
    assert read_log(tmp_path) == [{"kind": "step", "step": 0, "seconds": 2.0}]


def test_a_rank_that_does_not_lead_leaves_no_log(tmp_path):
    log = Unheard(tmp_path / "metrics.jsonl")
    log.cut(0)
    log.log(kind="step", step=1)
    log.sync()
    assert log.size == 0
    assert not log.path.exists()
