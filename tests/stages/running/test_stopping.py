"""Signals: saved, ended with a code that says so, and gone on with to the same bits. In processes, as queues send them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.stopping import AGAIN, Stop, Stopped
from stages.running.comparison import differences
from stages.running.runner import execute

ROOT = Path(__file__).parents[3]


def begin(path: Path, runs: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "nanogen", "run", str(path), "--runs", str(runs), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_a_step(process: subprocess.Popen, folder: Path) -> None:
    """Until the stage in a folder has logged its first step, which is behind its first evaluation."""
    log, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while not (log.is_file() and '"kind": "step"' in log.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, AGAIN), (signal.SIGUSR1, AGAIN), (signal.SIGINT, 130)]
)
def test_a_signal_saves_and_ends_and_the_same_command_goes_on(write_run, told, tmp_path, number, code):
    run = write_run(("steps = 6", "steps = 300"), ("evaluate_every = 3", "evaluate_every = 0"))
    process = begin(run.path, tmp_path / "runs")
    folder = tmp_path / "runs" / run.name
    until_a_step(process, folder / "base")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert f"stopped by {number.name}: give the same command again, and it goes on" in err
    saved = re.search(r"saved at step (\d+) of 300", out)
    assert saved, out
    assert "Traceback" not in err
    if number != signal.SIGTERM:
        return  # the others were heard in the same way
    straight = execute(run, tmp_path / "straight", told[0])
    again = begin(run.path, tmp_path / "runs")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert f"going on from the save at step {saved[1]} of 300" in out
    assert differences(run, straight, folder) == []


def test_a_signal_outside_of_steps_ends_at_once(write_run, told, tmp_path, monkeypatch):
    from stages import tokenizer

    def asked(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)  # never to its end

    monkeypatch.setattr(tokenizer, "run", asked)
    with pytest.raises(Stopped) as stopped:
        execute(write_run(), tmp_path / "runs", told[0])
    assert stopped.value.exit_code == AGAIN


def test_a_held_signal_waits_and_a_second_one_does_not():
    stop = Stop()
    with stop.listening():
        with stop.held():
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.now("base", 1)
            with pytest.raises(Stopped):
                os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked == signal.SIGTERM


def test_handlers_are_as_they_were_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with Stop().listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
