"""A run in a process that kills itself at given steps, as a power cut would: `python -m stages.running.killing ORDER`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
from attrs import define

from runtime.atomic import write_bytes
from runtime.manifest import to_json
from runtime.stopping import Stop
from stages.progress import Reporter
from stages.runfile.load import Run, Stage, load_run
from stages.running.runner import execute
from stages.training.settings import SessionSettings

NOW = 1e-9  # minutes between saves: one after every step


@define
class Killing(Stop):
    """Kills the process after a step of a stage, before that step is saved; writes every step down, where asked to."""

    stage: str = ""
    step: int = -1
    steps: Path | None = None

    def now(self, stage: str, step: int) -> bool:
        if self.steps is not None:
            write_bytes(self.steps, to_json({"stage": stage, "step": step}))
        if (stage, step) == (self.stage, self.step):
            os.kill(os.getpid(), signal.SIGKILL)
        return Stop.now(self, stage, step)


def saving_often(run: Run) -> Run:
    """The run with a save after every step, and in float32 where its file leaves the dtype open."""
    stages = [
        attrs.evolve(stage, settings=attrs.evolve(stage.settings, save_minutes=NOW, dtype=_dtype(stage)))
        if isinstance(stage.settings, SessionSettings)
        else stage
        for stage in run.stages
    ]
    return attrs.evolve(run, stages=tuple(stages))


def _dtype(stage: Stage) -> str:
    settings = stage.settings
    return "float32" if settings.dtype == "auto" and settings.float8 == "no" else settings.dtype


def order_of(run: Run, runs: Path, *, full: bool, kill: tuple[str, int] | None = None) -> dict[str, Any]:
    """What the process is told."""
    return {
        "run": str(run.path),
        "stand_ins": str(run.stand_ins),
        "full": full,
        "runs": str(runs),
        "kill": list(kill) if kill is not None else None,
    }


def do(run: Run, runs: Path, *, full: bool, kill: tuple[str, int] | None = None) -> tuple[int, str]:
    """Do a rehearsal in a process of its own; returns its exit code, and what it printed."""
    order = order_of(run, runs, full=full, kill=kill)
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "stages.running.killing", json.dumps(order)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main(order: dict[str, Any]) -> None:
    run = load_run(Path(order["run"]), stand_ins=Path(order["stand_ins"]), full=order["full"])
    stage, step = order["kill"] or ("", -1)
    stop = Killing(stage, step, Path(order["steps"]) if "steps" in order else None)
    execute(saving_often(run), Path(order["runs"]), Reporter(), stop=stop)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
