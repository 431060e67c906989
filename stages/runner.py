"""Walk a run's stages: skip what is done, go on with what was cut off, do the rest, stop at the first failure.

A stage's folder is `runs/RUN/STAGE`. While it works it holds `work.json` with its identity and inputs; its
manifest, written last, says that it is done. What another identity left there is moved aside, never deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from nanogen.views.figures import seconds_text
from runtime.atomic import write_bytes
from runtime.faults import Fault
from runtime.manifest import content, read_manifest, to_json, write_manifest
from stages.identity import identity, result_settings
from stages.load import Run, Stage
from stages.progress import Reporter
from stages.work import SAVES, Input, Work

WORK = "work.json"
OLD = ".old"


@frozen
class Found:
    """A stage with its identity, and what its folder holds: "done", "interrupted", "stale" or "missing"."""

    stage: Stage
    identity: str
    state: str
    folder: Path


def survey(run: Run, folder: Path) -> list[Found]:
    """Tell the state of every stage of a run without changing anything."""
    found: dict[str, Found] = {}
    for stage in run.stages:
        needs = [found[n].identity for n in stage.needs]
        mine = identity(stage, needs, run.seed)
        place = folder / stage.name
        found[stage.name] = Found(stage, mine, _state(place, mine, _contents(folder, stage)), place)
    return list(found.values())


def _contents(folder: Path, stage: Stage) -> dict[str, str | None]:
    return {need: content(folder / need) for need in stage.needs}


def _state(folder: Path, mine: str, needs: dict[str, str | None]) -> str:
    manifest = read_manifest(folder)
    if manifest is not None:
        same = manifest.get("identity") == mine and manifest.get("needs") == needs
        return "done" if same and _sizes_hold(folder, manifest) else "stale"
    if not folder.is_dir() or all(p.name == WORK for p in folder.iterdir()):
        return "missing"  # or begun, and failed before it made anything
    try:
        begun = json.loads((folder / WORK).read_text())
    except (OSError, ValueError):
        return "stale"
    return "interrupted" if begun == {"identity": mine, "needs": needs} else "stale"


def _sizes_hold(folder: Path, manifest: dict[str, Any]) -> bool:
    """A quick look, for every start; loaders hold the hashes against the files that they read."""
    sizes = ((folder / name, fact["bytes"]) for name, fact in manifest["files"].items())
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes)


def execute(run: Run, runs: Path, tell: Reporter) -> Path:
    """Run what is not done; returns the run's folder. Raises Fault or whatever a stage raised."""
    folder = runs / run.name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        stages = survey(run, folder)
        if all(f.state == "done" for f in stages):
            for found in stages:
                _publish(found, folder)
            tell.line(f"`{run.name}` is done: nothing to do, all {len(stages)} stages stand in {folder}")
            return folder
        for surveyed in stages:
            # what a stage before it made may be other than what this one was made from
            needs = _contents(folder, surveyed.stage)
            found = evolve(surveyed, state=_state(surveyed.folder, surveyed.identity, needs))
            if found.state == "done":
                tell.stage(found.stage.name, "done before")
            else:
                _run_stage(run, found, folder, tell)
            _publish(found, folder)
    return folder


def _publish(found: Found, folder: Path) -> None:
    """Tidy up what only an unfinished stage needs, and show at the top of the run what its kind says."""
    (found.folder / WORK).unlink(missing_ok=True)
    shutil.rmtree(found.folder / SAVES, ignore_errors=True)
    for name in getattr(found.stage.kind, "PUBLISHED", ()):
        made, shown = (found.folder / name).read_bytes(), folder / name
        if not shown.is_file() or shown.read_bytes() != made:
            write_bytes(shown, made)


def _run_stage(run: Run, found: Found, folder: Path, tell: Reporter) -> None:
    stage = found.stage
    resumed = found.state == "interrupted"
    if found.state == "stale":
        aside = _move_aside(found.folder, folder / OLD)
        tell.stage(stage.name, f"{stage.uses}; an earlier result is kept in {aside}")
    else:
        tell.stage(stage.name, f"{stage.uses}{', going on where it was cut off' if resumed else ''}")
    found.folder.mkdir(exist_ok=True)
    needs = _contents(folder, stage)
    write_bytes(found.folder / WORK, to_json({"identity": found.identity, "needs": needs}))
    inputs = tuple(Input(n, run.stage(n).uses, folder / n) for n in stage.needs)
    started = time.time()
    stage.kind.run(
        Work(run.name, stage.name, stage.settings, inputs, found.folder, run.seed, tell, stage.compiled)
    )
    seconds = time.time() - started
    facts = {
        "identity": found.identity,
        "run": run.name,
        "stage": stage.name,
        "uses": stage.uses,
        "version": stage.kind.VERSION,
        "settings": result_settings(stage.settings),
        "seed": run.seed,
        "needs": needs,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 2),
    }
    write_manifest(found.folder, facts, without=(WORK, SAVES))
    tell.line(f"done in {seconds_text(seconds)}")


def _move_aside(folder: Path, old: Path) -> Path:
    old.mkdir(exist_ok=True)
    number = 1
    while (aside := old / f"{folder.name}-{number}").exists():
        number += 1
    os.replace(folder, aside)
    return aside


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a second process on the same run folder; the system frees the lock however this one ends."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Fault(f"another process is at work in `{folder}`", "wait for it, or stop it") from None
        yield
