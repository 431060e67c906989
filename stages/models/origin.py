"""What a trained model is made of: the files that it learnt from, and its ancestors, all the way to the text.

Kept as `origin.json` in its folder, so that a model that was copied elsewhere still says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.faults import Fault
from runtime.manifest import content_of, read_manifest
from runtime.plain_json import read_object
from stages.sources.files import WHOLE, file_facts

if TYPE_CHECKING:
    from stages.tasks.mixture import TaskSetting
    from stages.work import Work

ORIGIN = "origin.json"
RECORDED = ("run", "stage", "uses", "identity")  # of an ancestor, as its manifest has them

Facts = dict[str, Any]


def origin_of(work: Work, data: Sequence[Facts]) -> Facts:
    """The origin of the model that a stage leaves: what it learnt from itself, and what it was given."""
    found: dict[str, Facts] = {}
    for given in work.inputs:
        for ancestor in _line(given.folder, given.name, given.kind):
            found.setdefault(f"{ancestor['run']}/{ancestor['stage']}", ancestor)
    return {"data": list(data), "parents": list(found.values())}


def _line(folder: Path, name: str, kind: str) -> list[Facts]:
    """A stage and its ancestors, the nearest first; a model says for itself what its ancestors are."""
    manifest = read_manifest(folder) or {}
    content = content_of(manifest) if manifest else None
    recorded = {fact: manifest.get(fact) for fact in RECORDED}
    mine: Facts = recorded | {"stage": recorded["stage"] or name, "uses": kind, "content": content}
    needs = manifest.get("needs") or {}
    mine["needs"] = list(needs)
    if (folder / ORIGIN).is_file():
        origin = read_object(folder / ORIGIN)
        return [{**mine, "data": origin.get("data")}, *origin.get("parents", [])]
    return [mine, *(one for need in needs for one in _line(folder.parent / need, need, _kind(folder, need)))]


def _kind(folder: Path, need: str) -> str:
    return str((read_manifest(folder.parent / need) or {}).get("uses"))


# -- data


def corpus_data(folder: Path, name: str) -> list[Facts]:
    """What is learnt from a corpus: its files with their sizes, hashes and rows, and where its text came from."""
    manifest = read_manifest(folder) or {"files": {}}
    files = {
        file: {**fact, "rows": _rows(folder / file), **_linked(folder / file)}
        for file, fact in manifest["files"].items()
        if file.endswith(".parquet")
    }
    source = (manifest.get("facts") or {}).get("settings", {}).get("source")
    return [{"stage": name, "source": source, "files": files}]


def _rows(path: Path) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError):
        return None  # training has read it to its end, or never came there


def _linked(path: Path) -> Facts:
    """The name that a shard has where it lies."""
    return {"is": path.resolve().name} if path.is_symlink() else {}


def task_data(settings: Sequence[TaskSetting]) -> list[Facts]:
    """What is learnt from tasks: how many rows of each, and the files that they stand in; made-up rows have none."""
    from stages.tasks.mixture import make_part

    found = []
    for wanted in settings:
        task = make_part(wanted)
        files = {path.name: _file(path) for path in task.files}
        split = {"task": wanted.task, "split": wanted.split, "start": wanted.start}
        found.append({**split, "rows": len(task), "epochs": wanted.epochs, "files": files})
    return found


def _file(path: Path) -> Facts:
    try:
        size, sha256 = file_facts(path)
    except OSError as error:
        raise Fault(f"`{path}` cannot be read: {error.strerror or 'no reason given'}") from None
    # of a large file the hash is that of its two ends
    return {"bytes": size, "sha256": sha256, **({"ends": True} if size > WHOLE else {})}
