"""Results that a run no longer asks for: set aside, brought back when it asks for them again, and removed on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from stages.running.survey import OLD, STALE, Found, size_of
from stages.work import SAVES


@frozen
class Litter:
    """Something that can be removed without loss to what the run asks for now."""

    path: Path
    what: str

    @property
    def bytes(self) -> int:
        return size_of(self.path) if self.path.is_dir() else self.path.lstat().st_size


def set_aside(folder: Path) -> Path:
    """Move a stage's folder to where old results are kept; returns its new place."""
    old = folder.parent / OLD
    old.mkdir(exist_ok=True)
    number = 1
    while (aside := old / f"{folder.name}-{number}").exists():
        number += 1
    os.replace(folder, aside)
    return aside


def bring_back(found: Found) -> None:
    """Give a stage the result that was set aside; what stands in its place is set aside instead."""
    assert found.holds is not None
    assert found.holds != found.folder
    if found.folder.is_dir():
        set_aside(found.folder)
    os.replace(found.holds, found.folder)


def litter(folder: Path, stages: list[Found]) -> Iterator[Litter]:
    """What a run keeps that it does not ask for: old results, stale ones, saves that were found broken."""
    for kept in sorted((folder / OLD).glob("*")):
        yield Litter(kept, "set aside")
    for found in stages:
        if found.state == STALE:
            yield Litter(found.folder, "stale")
        for broken in sorted((found.folder / SAVES).glob("broken_*")):
            yield Litter(broken, "a broken save")
    known = {found.stage.name for found in stages}
    for other in sorted(folder.iterdir()):
        if other.is_dir() and other.name not in known and not other.name.startswith("."):
            yield Litter(other, "of no stage that the run has now")


def remove(found: Litter) -> None:
    if found.path.is_dir() and not found.path.is_symlink():
        shutil.rmtree(found.path)
    else:
        found.path.unlink()
