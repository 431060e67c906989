"""Whoever started a process is killed: what it started saves and ends, says why once, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.checkpoint import newest_save
from runtime.stopping import AGAIN
from stages.running.lock import at_work
from stages.running.parent import SOON, TOLD
from stages.running.runner import execute
from tests.stages.running.test_ranks import process_of
from tests.stages.running.test_stopping import begin, until_a_step

ROOT = Path(__file__).parents[3]
HANGING = """
import signal, threading
from stages.running import parent
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
parent.SOON = 0.5
"""
IDLE = """
import threading
from stages.running import parent
"""
WATCHING = """
parent.watch(speaks={speaks})
print("there", flush=True)
threading.Event().wait()
"""


def alive(process: int) -> bool:
    """Whether a process of another parent is there yet."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat").read_text()
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_ranks_end_when_their_launcher_is_killed_and_the_run_goes_on(write_run, told, tmp_path):
    run = write_run(("steps = 6", "steps = 300"), ("evaluate_every = 3", "evaluate_every = 0"))
    folder = tmp_path / "runs" / run.name
    launcher = begin(run.path, tmp_path / "runs", "--ranks", "2")
    until_a_step(launcher, folder / "base")
    ranks = [process_of(launcher, rank) for rank in (0, 1)]
    assert at_work(folder) == ranks[0]
    launcher.kill()
    out, err = launcher.communicate(timeout=SOON / 2)  # until ranks, too, have closed its pipes
    assert not any(map(alive, ranks))
    assert at_work(folder) is None
    assert (out.count(TOLD), err) == (1, ""), out + err
    assert TOLD in (folder / "run.log").read_text()
    save = newest_save(folder / "base" / "saves", pytest.fail)
    assert save is not None
    execute(run, tmp_path / "runs", told[0])
    assert f"going on from the save at step {save.step}" in told[1].getvalue()


@pytest.mark.parametrize("speaks", [True, False])
@pytest.mark.parametrize("code", [HANGING, IDLE], ids=["hanging", "idle"])
def test_what_does_not_end_when_asked_ends_all_the_same(code, speaks):
    command = [sys.executable, "-c", code + WATCHING.format(speaks=speaks)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        out, err = process.communicate(timeout=60)  # its input ends here
    assert out == ("asked\n" if code == HANGING else "")
    assert err == (f"{TOLD}\n" if speaks else "")
    assert process.returncode == AGAIN
