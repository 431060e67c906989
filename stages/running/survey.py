"""What stands of a run: of each stage whether it is done, cut off, stale and why, set aside, or missing.

A stage's folder is `runs/RUN/STAGE`. While it works it holds `work.json` with what it is made from; its manifest,
written last, says that it is done. Looks and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from runtime.manifest import content, read_manifest
from stages.runfile.load import Run, Stage
from stages.running.identity import Facts, facts_of, identity
from stages.running.reasons import Reason, came_out_otherwise, reasons
from stages.work import SAVES

WORK = "work.json"
OLD = ".old"
DONE, INTERRUPTED, STALE, ASIDE, MISSING = "done", "interrupted", "stale", "set aside", "missing"


@frozen
class Found:
    """A stage, what it depends on, and what is there of it.

    `state` is "done", "interrupted", "stale", "set aside" (what it asks for was made before, and kept when it asked
    for something else) or "missing"; `holds` is the folder of what can be used, or gone on from.
    """

    stage: Stage
    facts: Facts
    identity: str
    needs: dict[str, str | None]  # contents of its inputs
    state: str
    folder: Path
    holds: Path | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def content(self) -> str | None:
        return content(self.holds or self.folder)

    @property
    def manifest(self) -> dict[str, Any] | None:
        return read_manifest(self.holds or self.folder)

    @property
    def step(self) -> int | None:
        """Of its newest save, where it was cut off while it trained."""
        return newest_step(self.holds or self.folder) if self.state != DONE else None


def survey(run: Run, folder: Path) -> list[Found]:
    """Tell the state of every stage of a run, in order."""
    found: dict[str, Found] = {}
    for stage in run.stages:
        found[stage.name] = survey_stage(run, stage, folder, found)
    return list(found.values())


def survey_stage(run: Run, stage: Stage, folder: Path, before: Mapping[str, Found]) -> Found:
    """Tell the state of a stage, when that of all that it needs is known."""
    facts = facts_of(stage, {n: before[n].identity for n in stage.needs}, run.seed)
    needs = {n: before[n].content for n in stage.needs}
    place = folder / stage.name
    found = Found(stage, facts, identity(facts), needs, MISSING, place)
    if (state := _fits(place, found)) in (DONE, INTERRUPTED):
        return _evolved(found, state, place)
    for kept in sorted((folder / OLD).glob(f"{stage.name}-*"), reverse=True):
        if _fits(kept, found) in (DONE, INTERRUPTED):
            return _evolved(found, ASIDE, kept)
    if state == MISSING:
        return found
    return _evolved(found, STALE, None, tuple(_why(run, found)))


def _evolved(found: Found, state: str, holds: Path | None, why: tuple[Reason, ...] = ()) -> Found:
    return Found(found.stage, found.facts, found.identity, found.needs, state, found.folder, holds, why)


def _fits(folder: Path, found: Found) -> str:
    """Whether a folder holds what the stage asks for: "done", "interrupted", "stale", or "missing"."""
    manifest = read_manifest(folder)
    if manifest is not None:
        same = manifest.get("identity") == found.identity and manifest.get("needs") == found.needs
        return DONE if same and sizes_hold(folder, manifest) else STALE
    if not folder.is_dir() or all(p.name == WORK for p in folder.iterdir()):
        return MISSING  # or begun, and failed before it made anything
    begun = read_work(folder)
    if begun is None:
        return STALE
    same = begun.get("identity") == found.identity and begun.get("needs") == found.needs
    return INTERRUPTED if same else STALE


def sizes_hold(folder: Path, manifest: dict[str, Any]) -> bool:
    """A quick look, for every start; loaders hold the hashes against the files that they read."""
    sizes = ((folder / name, fact["bytes"]) for name, fact in manifest["files"].items())
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes)


def read_work(folder: Path) -> dict[str, Any] | None:
    """What the stage at work in a folder is made from; None where nothing can be read."""
    try:
        found = json.loads((folder / WORK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _why(run: Run, found: Found) -> list[Reason]:
    """Why what is in a stage's folder cannot be used."""
    manifest = read_manifest(found.folder)
    then = manifest or read_work(found.folder)
    if then is None:
        return [Reason(f"`{WORK}` cannot be read")]
    why = reasons(run, found.stage, then, found.facts)
    if not why and then.get("needs") != found.needs:
        why = came_out_otherwise(run, then.get("needs") or {}, found.needs)
    if not why and manifest is not None and not sizes_hold(found.folder, manifest):
        why = [Reason(f"`{_first_wrong(found.folder, manifest)}` is missing or of another size")]
    return why or [Reason("what it was made from is not what it would be made from now")]


def _first_wrong(folder: Path, manifest: dict[str, Any]) -> str:
    for name, fact in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != fact["bytes"]:
            return name
    return "a file"


def newest_step(folder: Path) -> int | None:
    """The step of the newest save in a stage's folder, by its name alone."""
    steps = [p.name.removeprefix("step_") for p in (folder / SAVES).glob("step_*")]
    return max((int(step) for step in steps if step.isdigit()), default=None)


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder; what is linked counts where it lies."""
    if not folder.is_dir():
        return 0
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
