"""Stages of a run side by side, each in a process of its own, as soon as all that it needs is done.

On a CPU they share the threads. Their lines come with their names before them; the first that fails stops the others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

from runtime.faults import Fault
from runtime.stopping import Stopped
from stages.running.survey import DONE, survey

if TYPE_CHECKING:
    from stages.running.runner import Runner

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
LOOKED_EVERY = 0.1  # seconds


@define(eq=False)
class Child:
    """A stage at work in a process. Why it failed, it leaves in a file."""

    stage: str
    process: subprocess.Popen
    answer: Path

    def close(self) -> None:
        """Leave nothing of it behind."""
        assert self.process.stdin is not None, "it was started with one"
        self.process.stdin.close()
        self.answer.unlink(missing_ok=True)


def side_by_side(runner: Runner, chosen: set[str]) -> None:
    """Do the chosen stages; raises Fault when one fails, Stopped when a signal asked for it."""
    waiting = [stage for stage in runner.run.stages if stage.name in chosen]
    left = {stage.name for stage in waiting}
    children: list[Child] = []
    with runner.stop.held():
        while waiting or children:
            for stage in [s for s in waiting if not left & set(s.needs)]:
                if len(children) == runner.wishes.jobs:
                    break
                waiting.remove(stage)
                if _done_before(runner, stage.name):
                    left.discard(stage.name)
                else:
                    children.append(_start(runner, stage.name))
            for child in _ended(children, runner):
                children.remove(child)
                left.discard(child.stage)
                _take(child, children)


def _done_before(runner: Runner, name: str) -> bool:
    """Whether a stage is done already: that is told, and no process is worth it."""
    found = next(one for one in survey(runner.run, runner.folder) if one.stage.name == name)
    if found.state != DONE or runner.wishes.choice.begins_again(found):
        return False
    runner.do(found)
    return True


def _start(runner: Runner, name: str) -> Child:
    run, folder = runner.run, runner.folder
    answer = folder / f".{name}.answer"
    answer.unlink(missing_ok=True)
    order = {
        "run": str(run.path),
        "stand_ins": str(run.stand_ins) if run.stand_ins is not None else None,
        "folder": str(folder),
        "stage": name,
        "answer": str(answer),
        "log": str(runner.tell.log) if runner.tell.log is not None else None,
        "begin": runner.wishes.choice.begin,
        "again": name in runner.wishes.choice.again,
        "data_may_change": runner.wishes.data_may_change,
    }
    command = [sys.executable, "-m", "stages.running.child", json.dumps(order)]
    share = str(max(1, (os.cpu_count() or 1) // runner.wishes.jobs))
    paths = os.pathsep.join(path for path in sys.path if path)  # as this process finds its own code
    environment = {**dict.fromkeys(THREADS, share), **os.environ, "PYTHONPATH": paths}
    # of Ctrl-C this process alone hears, and tells the children; their input ends when it does
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)
    return Child(name, process, answer)


def _ended(children: list[Child], runner: Runner) -> list[Child]:
    """Children that have ended, once there are any; raises Stopped when a signal came."""
    while children:
        if runner.stop.asked:
            _let_go(children)
            raise Stopped(runner.stop.asked)
        if ended := [child for child in children if child.process.poll() is not None]:
            return ended
        time.sleep(LOOKED_EVERY)
    return []


def _take(child: Child, others: list[Child]) -> None:
    """See how a child has ended; raises what it died of, once the others have saved."""
    told: dict[str, Any] = json.loads(child.answer.read_text()) if child.answer.is_file() else {}
    child.close()
    code = child.process.returncode
    if code == 0:
        return
    _let_go(others)
    if "stopped" in told:
        raise Stopped(told["stopped"])
    if "message" in told:
        raise Fault(told["message"], told["help"])
    assert "bug" not in told, f"`{child.stage}` failed:\n{told['bug']}"
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    help = "give the same command again: it goes on from the last save"
    raise Fault(f"the process of `{child.stage}` {how}", help)


def _let_go(children: list[Child]) -> None:
    """Ask the others to save and end, and wait for it."""
    for child in children:
        child.process.terminate()
    for child in children:
        child.process.wait()
        child.close()
