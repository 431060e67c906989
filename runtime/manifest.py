"""A folder's manifest: every file with its size and hash, written last. What does not match is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from runtime.atomic import write_bytes
from runtime.clock import PREFIX
from runtime.faults import Fault

NAME = "manifest.json"
FORMAT = 1


def write_manifest(folder: Path, facts: dict[str, Any], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Describe all files of `folder` beside `facts`, save those of the names `without` at its top.

    Whoever finds the manifest finds the folder whole.
    """
    left_out = {NAME, *without}
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] not in left_out
    )
    manifest = {
        "format": FORMAT,
        **facts,
        "files": {
            p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": digest(p)} for p in files
        },
    }
    write_bytes(folder / NAME, to_json(manifest))
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, or None where there is none that can be read."""
    try:
        found = json.loads((folder / NAME).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT and _listed(found) else None


def _listed(manifest: dict[str, Any]) -> bool:
    """Whether its files stand there as they are written, each with a hash."""
    files = manifest.get("files")
    return isinstance(files, dict) and all(isinstance(f, dict) and "sha256" in f for f in files.values())


def check_files(folder: Path, manifest: dict[str, Any]) -> None:
    """Hold every file against the manifest; raises Fault that names the first that differs."""
    for name, fact in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise Fault(f"`{path}` is missing, and its manifest lists it", "run the stage again")
        found = digest(path)
        if found != fact["sha256"]:
            message = f"`{path}` is not the file of its manifest: {found[:12]} found, {fact['sha256'][:12]} recorded"
            raise Fault(message, "restore the file, or run the stage again")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def content(folder: Path) -> str | None:
    """One hash of all that a folder's manifest lists, save what clocks measured; None where it has none."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    files = manifest["files"].items()
    listed = sorted((name, fact["sha256"]) for name, fact in files if not name.startswith(PREFIX))
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
