"""Find a named data set on this machine: below a path that the run gives, below NANOGEN_DATA, or in the Hub's cache.

Nothing is fetched unless the run asks for it. Knows nothing of what the rows are used for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from nanogen.data import DataSet, Split, data_set
from nanogen.text.diagnostics import nearest
from runtime.faults import Absent, Fault
from runtime.manifest import digest
from stages.data.hub import hub_rows

if TYPE_CHECKING:
    from stages.data.table import Table

VARIABLE = "NANOGEN_DATA"
_PART_OF = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


@frozen
class DataPlace:
    """Where data is looked for: a folder, which may be none, and whether the Hub may be asked for what it lacks."""

    folder: Path | None = None
    download: bool = False
    cache: bool = True  # the Hub's cache is looked into; it takes a second to import what reads it

    @classmethod
    def here(cls, *, download: bool = False, cache: bool = True) -> DataPlace:
        """What the environment says."""
        named = os.environ.get(VARIABLE)
        return cls(Path(named).expanduser() if named else None, download, cache)


def find_rows(name: str, *, subset: str, split: str, place: DataPlace, path: str | None = None) -> Table:
    """The rows of a split of a named data set; raises Fault that says where it was looked for, and how to get it."""
    from stages.data.table import open_table  # a run is checked without what reads parquet

    data = data_set(name)
    known = data.splits(subset)
    if split not in known:
        raise Fault(f"`{name}` has no split `{split}`", nearest(split, known))
    files = _files(data, known[split], place, path)
    if files:
        if path is None:
            _check_hashes(data, files)
        return open_table(files, data.columns)
    rows = None
    if path is None and data.repository is not None and (place.cache or place.download):
        rows = hub_rows(data, subset, split, download=place.download)
    if rows is None:
        raise _absent(name, data, known[split], place, path)
    if len(rows) == 0:
        raise Fault(f"`{data.repository}` ({subset}, {split}) holds no rows", "look at its page on the Hub")
    return rows


def _files(data: DataSet, split: Split, place: DataPlace, path: str | None) -> list[Path]:
    if path is not None:
        top = Path(path)
        if top.is_file():
            return [top]
        return _inside(top, split) or _parquets(top)
    return _inside(place.folder / data.folder, split) if place.folder is not None else []


def _inside(top: Path, split: Split) -> list[Path]:
    """The files of a split below the folder of its data set, in whichever layout they stand there."""
    if split.file is not None:
        return [top / split.file] if (top / split.file).is_file() else []
    subset, name = split.subset, split.name
    for folder in (top / subset / name, top / name):
        if found := _parquets(folder):
            return found
    for folder in (top / subset, top / "data", top):
        if found := sorted(folder.glob(f"{name}-*.parquet")):
            return _all_parts(found)
    return []


def _parquets(folder: Path) -> list[Path]:
    """The parquet files of a folder: those that its manifest lists, or all where it has none."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return _all_parts(sorted(folder.glob("*.parquet")))
    try:
        names = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Fault(f"`{manifest}` is no list of files", "copy the folder again")
    for name in names:
        if not (folder / name).is_file():
            raise Fault(f"`{folder / name}` is missing, and its manifest lists it", "copy the folder again")
    return [folder / name for name in names]


def _all_parts(files: list[Path]) -> list[Path]:
    """Refuse a set of numbered parts that is not whole."""
    parts = [found for path in files if (found := _PART_OF.search(path.name))]
    if parts and (len(parts) != int(parts[0][2]) or len(parts) != len(files)):
        message = f"`{files[0].parent}` holds {len(parts)} of {int(parts[0][2])} parts of `{files[0].name}`"
        raise Fault(message, "copy the missing ones")
    return files


def _check_hashes(data: DataSet, files: Sequence[Path]) -> None:
    for path in files:
        wanted = data.sha256(path.name)
        if wanted is not None and (found := digest(path)) != wanted:
            message = f"`{path}` is not the file that is known: {found[:12]} found, {wanted[:12]} recorded"
            raise Fault(message, "copy it again, or give it as `path` if it is meant to differ")


def find_file(name: str, file: str, place: DataPlace) -> Path:
    """One file of a named data set that is made of named files."""
    data = data_set(name)
    path = place.folder / data.folder / file if place.folder is not None else None
    if path is None or not path.is_file():
        raise _absent(name, data, Split(name=file, file=file), place, None)
    _check_hashes(data, [path])
    return path


def _absent(name: str, data: DataSet, split: Split, place: DataPlace, path: str | None) -> Absent:
    what = f"`{name}`, split `{split.name}`"
    if path is not None:
        wanted = split.file or f"{split.subset}/{split.name}/*.parquet"
        return Absent(f"there is no {what} in `{path}`", f"it would hold `{wanted}`; it is {data.source}")
    looked = ", ".join(_looked(data, split, place))
    return Absent(f"there is no {what} here: looked in {looked}", _how_to_get(data))


def _looked(data: DataSet, split: Split, place: DataPlace) -> Iterator[str]:
    if place.folder is None:
        yield f"no folder, since {VARIABLE} is not set"
    else:
        inside = split.file or f"{split.subset}/{split.name}"
        yield f"`{place.folder / data.folder / inside}`"
    if data.repository is not None:
        yield "the Hub's cache"


def _how_to_get(data: DataSet) -> str:
    if data.repository is not None:
        return f"let the run fetch {data.repository} from the Hub with `download = true`, or set {VARIABLE}"
    return f"copy it from {data.source} into {data.folder} below {VARIABLE}"
