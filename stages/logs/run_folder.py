"""A run's folder as another process sees it: which stages stand there, what state each is in, whether anybody works.

Reads what stages leave, changes nothing, and takes no lock: a look at a run must never keep it from starting.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli
from attrs import frozen

from nanogen.text.diagnostics import nearest
from runtime.atomic import write_bytes
from runtime.faults import Fault
from runtime.manifest import NAME, read_manifest, to_json
from runtime.metrics import CLOCK, METRICS

WORK, LOCK, LOG, RESULT = "work.json", ".lock", "run.log", "result.json"
PLAN = "run.json"
QUIET = 300.0  # seconds without a line after which a run counts as left, where locks cannot be seen


@frozen
class StageFolder:
    """A stage that was begun. `manifest` is there once it is done."""

    name: str
    folder: Path
    manifest: dict[str, Any] | None

    @property
    def done(self) -> bool:
        return self.manifest is not None

    @property
    def uses(self) -> str:
        return str((self.manifest or {}).get("uses", ""))

    @property
    def begun(self) -> dict[str, Any]:
        """What tells one result of this stage from another: its identity, and what its inputs were."""
        found = self.manifest if self.manifest is not None else read_json(self.folder / WORK)
        return {key: found.get(key) for key in ("identity", "needs")}

    @property
    def result(self) -> dict[str, Any]:
        return read_json(self.folder / RESULT)

    @property
    def logged(self) -> bool:
        return (self.folder / METRICS).is_file()

    @property
    def started(self) -> float:
        """Unix seconds, as the file says that was written as it began."""
        return _written(self.folder / WORK) or _written(self.folder / NAME)


@frozen
class RunFolder:
    """Where a run stands; perhaps nothing is there yet.

    `planned` are the stages of a run file of its name, if one was found: what the run itself noted goes before.
    """

    folder: Path
    planned: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    def stages(self) -> list[StageFolder]:
        """Those that were begun: in the order of the run file where that is known, else as they began."""
        try:
            inner = [Path(found.path) for found in os.scandir(self.folder) if found.is_dir()]
        except OSError:
            return []
        begun = [p for p in inner if p.name[0] != "." and is_stage(p)]
        stages = [StageFolder(p.name, p, read_manifest(p)) for p in begun]
        places = {name: place for place, name in enumerate(self._plan(stages))}
        return sorted(stages, key=lambda s: (places.get(s.name, len(places)), not s.done, s.started, s.name))

    def pending(self, stages: list[StageFolder]) -> list[str]:
        there = {stage.name for stage in stages}
        return [name for name in self._plan(stages) if name not in there]

    def _plan(self, stages: list[StageFolder]) -> list[str]:
        """All stages in their order; nothing where the file that was found is of another run of that name."""
        noted = read_json(self.folder / PLAN).get("stages")
        if isinstance(noted, list):
            return [str(name) for name in noted]
        return list(self.planned) if {stage.name for stage in stages} <= set(self.planned) else []

    def at_work(self, stages: list[StageFolder]) -> bool:
        """Whether a process works on it: it holds the run's lock, or, where that cannot be seen, wrote lately."""
        held = lock_is_held(self.folder / LOCK)
        if held:
            return True
        if held is False and not _shared(self.folder):
            return False
        open_stages = [stage for stage in stages if not stage.done]
        files = [stage.folder / name for stage in open_stages for name in (WORK, METRICS, CLOCK)]
        latest = max((_written(path) for path in [*files, self.folder / LOG] if open_stages), default=0.0)
        return time.time() - latest < QUIET


def note_plan(folder: Path, stages: Sequence[str]) -> None:
    """Write down which stages a run has, for whoever looks at its folder; the same plan is not written again."""
    plan = {"stages": list(stages)}
    if read_json(folder / PLAN) != plan:
        write_bytes(folder / PLAN, to_json(plan))


def find_run(name: str, runs: Path) -> RunFolder:
    """The folder of a run that is named by its folder, by its name, or by its file; raises Fault."""
    path = Path(name).expanduser()
    if _is_run(path):
        return RunFolder(path, _planned(path.resolve().name))
    file = path if path.suffix == ".toml" else None
    folder = runs / (file.stem if file is not None else name)
    planned = _planned(name)
    if folder.is_dir() or planned:
        return RunFolder(folder, planned)
    if path.is_dir():
        return RunFolder(path)
    known = [p.name for p in sorted(runs.iterdir()) if _is_run(p)] if runs.is_dir() else []
    raise Fault(f"there is no run `{name}` in `{runs}`", nearest(name, known) if known else "name its folder")


def is_stage(path: Path) -> bool:
    """Whether a stage was begun in a folder."""
    return (path / WORK).is_file() or (path / NAME).is_file()


def _is_run(path: Path) -> bool:
    try:
        return path.is_dir() and any(inner.name in (LOCK, LOG) or is_stage(inner) for inner in path.iterdir())
    except OSError:
        return False


def _planned(name: str) -> tuple[str, ...]:
    """The stages that a run file names, in its order; nothing where there is no such file, or it cannot be read."""
    from nanogen.shelf import find
    from nanogen.text.diagnostics import Refusal

    try:
        data = tomli.loads(find(name.removesuffix("-rehearsal"), "run").read_text(encoding="utf-8"))
    except (Refusal, OSError, ValueError):
        return ()
    stages = data.get("stage") if data.get("kind") == "run" else None
    return tuple(stages) if isinstance(stages, dict) else ()


def lock_is_held(path: Path) -> bool | None:
    """Whether a process holds the lock on a file, seen without taking it; None where the system does not tell."""
    try:
        inode = path.stat().st_ino
    except OSError:
        return False
    if not sys.platform.startswith("linux"):
        return None
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    held = (line.split() for line in lines if "->" not in line)  # an arrow: who waits for it
    return any(len(words) > 5 and words[5].rpartition(":")[2] == str(inode) for words in held)


def _shared(folder: Path) -> bool:
    """Whether a folder may be written by other machines, whose locks are not listed on this one."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return False
    here = str(folder.resolve())
    over = [m for m in mounts if len(m) > 2 and (here + "/").startswith(m[1].rstrip("/") + "/")]
    kind = max(over, key=lambda m: len(m[1]), default=("", "", ""))[2]
    return kind.startswith(("nfs", "cifs", "smb", "lustre", "ceph", "beegfs", "gpfs", "fuse", "9p"))


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing where it is not there, or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
