"""SIGKILL a run at random moments, again and again, and hold its end against a run that was left alone.

    python -m benchmarks.kills [RUN] [--kills 50] [--seed 1] [--jobs 1]

The rehearsal of RUN (quickstart unless said), from corpus to report, with a save after every step. Each kill is
followed by the same command; when the run has come to its end before there were enough, another begins. Half the
kills come at a random time, the others when something is being done that is rarely met by chance: a save being
written, a stage just begun, a tokenizer being trained, answers being written for reinforcement learning. Exit code 1
where a run does not go on, loses more than the step that was not saved yet, or does not end with the same bits.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
from attrs import define, field

from nanogen.shelf import find
from runtime.manifest import NAME as MANIFEST
from stages.data.stand_in import write_stand_ins
from stages.runfile.load import Run, load_run
from stages.running.comparison import differences
from stages.running.killing import order_of
from stages.running.survey import WORK, newest_step
from stages.work import SAVES

LONGEST = 12.0  # seconds to a kill at a random time
MOST_AIMED = 1  # kills at a moment of the same stage, in one run
PATIENCE = 600.0  # seconds in which a start comes to a kill or to its end
TRAINING = ("pretrain", "midtrain", "sft", "rl")


@define
class Kills:
    """The killing of one run after another."""

    run: Run
    top: Path
    wanted: int
    rng: random.Random
    done: int = 0
    places: Counter = field(factory=Counter)
    aimed: Counter = field(factory=Counter)  # at stages, in the run that is going on
    lost: int = 0  # steps at most, of any kill

    def a_run(self, number: int) -> Path:
        """A run from start to end with kills on the way; returns its folder."""
        runs = self.top / f"killed-{number}"
        folder = runs / self.run.name
        self.aimed.clear()
        while True:
            process = start(self.run, runs, runs / "step.json")
            killed = self.done < self.wanted and self.kill(process, folder)
            if not killed and process.wait() == 0:
                return folder
            if not killed:
                raise SystemExit(f"a start ended with exit code {process.returncode}, see {runs / 'out.log'}")

    def kill(self, process: subprocess.Popen, folder: Path) -> bool:
        """Wait for the moment, and kill; False where the process ended before it came."""
        moment = self.moment(folder)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and not moment():
            assert time.monotonic() < deadline, "the run stands still"
            time.sleep(0.0005)
        if process.poll() is not None:
            return False
        process.kill()
        process.wait()
        self.done += 1
        where = place(self.run, folder)
        self.places[where] += 1
        self.lost = max(self.lost, lost_steps(folder))
        print(f"kill {self.done}: {where}", flush=True)
        return True

    def moment(self, folder: Path) -> Callable[[], bool]:
        """When to kill next."""
        left = [s for s in self.run.stages if not (folder / s.name / MANIFEST).is_file()]
        coming = [s for s in left if self.aimed[s.name] < MOST_AIMED]
        if not coming:
            return lambda: False  # it has been met everywhere: to its end
        if self.rng.random() < 0.5:
            at = time.monotonic() + self.rng.uniform(0, LONGEST)
            return lambda: time.monotonic() > at
        stage = min(coming, key=lambda s: (self.met(s.uses), self.rng.random()))  # where it was met least
        self.aimed[stage.name] += 1
        saves, work = folder / stage.name / SAVES, folder / stage.name / WORK
        if stage.uses in TRAINING and self.rng.random() < 0.7:
            return lambda: saves.is_dir() and any(p.name.endswith(".partial") for p in saves.iterdir())
        # seconds into it; a tokenizer's are over in a tenth of one
        until = self.rng.uniform(0, 0.5) if self.met(stage.uses) else 0.0
        begun: list[float] = []

        def within() -> bool:
            if work.is_file() and not begun:
                begun.append(time.monotonic())
            return bool(begun) and time.monotonic() > begun[0] + until

        return within

    def met(self, kind: str) -> int:
        """Kills in stages of a kind so far."""
        return sum(count for where, count in self.places.items() if where.split(",")[0] == kind)


def start(run: Run, runs: Path, steps: Path) -> subprocess.Popen:
    runs.mkdir(parents=True, exist_ok=True)
    order = order_of(run, runs, full=False) | {"steps": str(steps)}
    command = [sys.executable, "-m", "stages.running.killing", json.dumps(order)]
    with (runs / "out.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})


def place(run: Run, folder: Path) -> str:
    """What was going on in a run's folder: the stage at work, and whether it was saving."""
    for stage in run.stages:
        work, manifest = folder / stage.name / WORK, folder / stage.name / MANIFEST
        if work.is_file() and not manifest.is_file():
            saves = folder / stage.name / SAVES
            partial = saves.is_dir() and any(p.name.endswith(".partial") for p in saves.iterdir())
            return f"{stage.uses}{', in a save' if partial else ''}"
    return "between stages, or at the start"


def lost_steps(folder: Path) -> int:
    """Steps that were made and not saved when a run was killed."""
    try:
        told = json.loads((folder.parent / "step.json").read_text())
    except (OSError, ValueError):
        return 0
    saved = newest_step(folder / told["stage"])
    return told["step"] - (saved or 0) if (folder / told["stage"] / WORK).is_file() else 0


@click.command()
@click.argument("run", default="quickstart")
@click.option("--kills", default=50, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Work in this folder, and keep it.")
def main(run: str, kills: int, seed: int, keep: Path | None) -> None:
    """See the file's head."""
    top = keep or Path(tempfile.mkdtemp(prefix="nanogen-kills-"))
    loaded = load_run(find(run, "run"), stand_ins=write_stand_ins(top / ".stand_ins"))
    began = time.monotonic()
    straight = start(loaded, top / "straight", top / "step.json")
    if straight.wait():
        raise SystemExit(f"the run does not come to its end, see {top / 'straight' / 'out.log'}")
    alone = time.monotonic() - began
    killing, wrong, ends = Kills(loaded, top, kills, random.Random(seed)), [], 0
    while killing.done < kills:
        folder = killing.a_run(ends)
        ends += 1
        wrong += differences(loaded, top / "straight" / loaded.name, folder)
    for where, count in sorted(killing.places.items()):
        print(f"{count:4d}  {where}")
    for difference in wrong:
        print(difference)
    print(f"{loaded.name}: {alone:.0f} s alone; {killing.done} kills in {ends} runs, all came to their end")
    print(f"steps lost by a kill: {killing.lost} at most, with a save after every step")
    print("every end has the same bits" if not wrong else f"{len(wrong)} DIFFERENCES")
    if keep is None:
        shutil.rmtree(top)
    sys.exit(1 if wrong or killing.lost > 1 else 0)


if __name__ == "__main__":
    main()
