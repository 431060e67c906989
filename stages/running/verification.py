"""Prove that a run which is killed goes on to the bit: its rehearsal done twice, once without a pause, and once killed
in every stage that trains, and then held against each other.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from attrs import frozen

from runtime.faults import Fault
from stages.progress import Reporter
from stages.runfile.load import Run
from stages.runfile.rehearsal import STEPS
from stages.running.comparison import Difference, differences
from stages.running.killing import do
from stages.training.settings import SessionSettings

LAST_LINES = 12  # of a rehearsal that failed
KILL_AT = 4  # the step that is lost: neither the first nor the last, behind an evaluation and before one


@frozen
class Proof:
    """What was done, and all that differs at the end."""

    killed: tuple[tuple[str, int], ...]  # stages, and the steps after which they were killed
    differing: tuple[Difference, ...]


def verify_resume(run: Run, folder: Path, *, full: bool, tell: Reporter) -> Proof:
    """Do the rehearsal of a run twice in `folder`, which is emptied first; raises Fault where it does not come to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trained = [stage for stage in run.stages if isinstance(stage.settings, SessionSettings)]
    if not trained:
        raise Fault(f"`{run.name}` has no stage that trains", "name a run with a `pretrain` stage")
    straight, killed = folder / "straight", folder / "killed"
    tell.line(f"{run.name} without a pause, into {straight}")
    _to_the_end(run, straight, full)
    kills = []
    for stage in trained:
        at = min(KILL_AT, (getattr(stage.settings, "steps", None) or STEPS) - 1)
        tell.line(f"{run.name} killed in `{stage.name}` after step {at}, which was not saved yet")
        code, printed = do(run, killed, full=full, kill=(stage.name, at))
        if code != -9:
            raise _failed(f"was to be killed in `{stage.name}`, and ended with exit code {code}", printed)
        kills.append((stage.name, at))
    tell.line(f"{run.name} to its end, into {killed}")
    _to_the_end(run, killed, full)
    return Proof(tuple(kills), tuple(differences(run, straight / run.name, killed / run.name)))


def _to_the_end(run: Run, runs: Path, full: bool) -> None:
    code, printed = do(run, runs, full=full)
    if code:
        raise _failed(f"ended with exit code {code}", printed)


def _failed(how: str, printed: str) -> Fault:
    lines = "\n".join(printed.rstrip().split("\n")[-LAST_LINES:])
    return Fault(
        f"the rehearsal {how}; its last lines:\n{lines}", "mend that first: `nanogen run RUN --rehearse`"
    )
