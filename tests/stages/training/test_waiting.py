"""What steps wait is summed up over all parts of a run, and told once where it is much, with what helps."""

from typing import Any

import pytest
from attrs import evolve

from runtime import ahead
from runtime.ahead import Ahead
from runtime.batches import Batch
from runtime.metrics import CLOCK, METRICS, read_metrics
from runtime.training import StepResult, Trainer
from stages.running.runner import execute
from stages.training.waiting import RECENT, Waiting, advice
from stages.work import Input
from tests.runtime.test_training import Cursor, trainer_of


def test_much_is_told_once_and_the_first_step_is_not_counted_in():
    waiting = Waiting(seconds=2.0)
    told = [waiting.add(0.5, 1.0)] + [waiting.add(0.06, 1.0) for _ in range(RECENT * 3)]
    assert [share for share in told if share is not None] == [pytest.approx(0.06)]
    assert told[RECENT] is not None  # as soon as there are enough
    assert waiting.seconds == pytest.approx(2.5 + RECENT * 3 * 0.06)


def test_a_little_is_not_told_nor_is_one_step_that_waits_long():
    waiting = Waiting()
    assert not any(waiting.add(0.04, 1.0) for _ in range(RECENT * 2))
    assert waiting.add(0.2, 1.0) is None
    assert not any(waiting.add(0.0, 1.0) for _ in range(RECENT))
    told = [waiting.add(0.1, 1.0) for _ in range(RECENT)]
    assert [n for n, share in enumerate(told) if share] == [RECENT // 2]  # eleven of twenty


def test_what_helps_depends_on_what_there_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "cores", lambda: 8)
    loader: Any = None
    assert advice(0.2, loader).endswith("none is left to read ahead: `OMP_NUM_THREADS=7` leaves one")
    assert advice(0.1, loader).endswith("none is left to read ahead: with one more core they would be")
    assert advice(0.1, Ahead(loader)).endswith("on 8 cores; give the process more, or its data a faster disk")
    assert advice(0.1, Ahead(loader)).startswith(
        "the last 20 steps waited for their batches for 10% of their"
    )


def test_a_run_logs_it_by_the_clock_alone(write_run, told, tmp_path, monkeypatch):
    """And one that was cut off adds to what it had waited."""
    plain, made = Trainer.run_step, []

    def run_step(self: Trainer) -> StepResult:
        made.append(self.step)
        if len(made) == 5:
            raise KeyboardInterrupt
        return evolve(plain(self), waited=0.25, seconds=1.0)

    monkeypatch.setattr(Trainer, "run_step", run_step)
    run = write_run()
    with pytest.raises(KeyboardInterrupt):
        execute(run, tmp_path / "runs", told[0])
    folder = execute(run, tmp_path / "runs", told[0]) / "base"
    assert made == [0, 1, 2, 3, 4, 3, 4, 5]
    clock = [event for event in read_metrics(folder / CLOCK) if event["kind"] == "step"]
    assert [event["waited"] for event in clock] == [0.25, 1.5]
    assert "waited" not in (folder / METRICS).read_text()
    assert "waited" not in (folder / "result.json").read_text()
    assert Input("base", "pretrain", folder).result["waited"] == 1.5
    assert "25.0% of it waiting for batches" in (folder.parent / "report.md").read_text()


def test_a_step_measures_what_its_batches_take(monkeypatch: pytest.MonkeyPatch):
    now, trainer = [0.0], trainer_of()

    class Slow(Cursor):
        def __next__(self) -> Batch:
            now[0] += 3.0
            return super().__next__()

    def update(*_: float) -> None:
        now[0] += 4.0

    trainer.loader = Slow()
    monkeypatch.setattr("runtime.training.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(trainer.optimizer, "step", update)
    found = trainer.run_step()
    assert (found.waited, found.seconds) == (6.0, 10.0)  # of two micro-batches
