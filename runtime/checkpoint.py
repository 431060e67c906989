"""Saves of a run: folders that are whole or not there. Safetensors and JSON, nothing else.

`step_000400/` holds groups of tensors (`weights.safetensors`, `optimizer.safetensors`, ...), `state.json`
and a manifest. Knows nothing of what the tensors mean.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen
from safetensors.torch import save_file
from torch import Tensor

from runtime.atomic import flush
from runtime.faults import Fault
from runtime.manifest import Newer, check_files, to_json, whole_manifest, write_manifest
from runtime.plain_json import read_object
from runtime.tensors import read_tensors

KEPT = 2  # saves: the last, and the one before in case the last is broken


@frozen
class Save:
    """A save that was found whole."""

    folder: Path
    step: int
    state: dict[str, Any]

    def tensors(self, group: str) -> dict[str, Tensor]:
        """The tensors of a group, on CPU."""
        return read_tensors(self.folder / f"{group}.safetensors")


def write_save(
    parent: Path,
    step: int,
    groups: dict[str, dict[str, Tensor]],
    state: dict[str, Any],
    best: int | None = None,
) -> Path:
    """Write a save under a temporary name, make it durable, then give it its name; old saves go last.

    Of the old ones the last few stay, and that of the step `best`.
    """
    folder = _folder(parent, step)
    partial = parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, tensors in groups.items():
            write_tensors(partial / f"{name}.safetensors", tensors)
        (partial / "state.json").write_bytes(to_json({"step": step, **state}))
        write_manifest(partial, {"step": step})
        for path in [*partial.iterdir(), partial]:
            flush(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # of a full disk it would keep the rest
        raise
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    flush(parent)
    for old in _saves(parent)[:-KEPT]:
        if best is None or old != _folder(parent, best):
            shutil.rmtree(old)
    return folder


def _folder(parent: Path, step: int) -> Path:
    return parent / f"step_{step:06d}"


def save_of(parent: Path, step: int) -> Save | None:
    """The save of a step, or None where it is not there or not whole."""
    try:
        return _whole(_folder(parent, step))
    except Fault:
        return None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as they are, from any device."""
    save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, path)


def newest_save(parent: Path, tell: Callable[[str], None]) -> Save | None:
    """Return the newest whole save; broken ones are told of and kept aside."""
    for folder in reversed(_saves(parent)):
        try:
            return _whole(folder)
        except Newer:
            raise  # it is whole, for whoever can read it
        except Fault as fault:
            aside = folder.with_name(f"broken_{folder.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(folder, aside)
            tell(f"{fault.message}; kept aside as `{aside.name}`, going on from the save before")
    return None


def _whole(folder: Path) -> Save:
    """Return the save in a folder; raises Fault where a byte of it is not what was written."""
    manifest = whole_manifest(folder)
    check_files(folder, manifest)
    state = read_object(folder / "state.json")
    return Save(folder, state["step"], state)


def _saves(parent: Path) -> list[Path]:
    """All saves, the oldest first; from step 1,000,000 on the names are longer."""
    found = parent.glob("step_*") if parent.is_dir() else []
    return sorted(found, key=lambda folder: (len(folder.name), folder.name))
