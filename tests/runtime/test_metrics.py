"""The log: appended, cut back to a save, read past a torn last line."""

from runtime.metrics import Metrics, read_metrics


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
