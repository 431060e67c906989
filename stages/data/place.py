"""Find a named data set on this machine: below a path that the run gives, in the folder of data, or in the Hub's cache.

What is not here is fetched where the run asks for it. Knows nothing of what the rows are used for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from nanogen.data import DataSet, Split, data_set
from nanogen.text.diagnostics import nearest
from runtime.faults import Absent, Fault
from runtime.manifest import digest
from stages.data.hub import cached
from stages.data.needs import Corpus, NamedFile, Need, Noted, Rows
from stages.data.offline import is_offline

if TYPE_CHECKING:
    from stages.data.table import Table

VARIABLE = "NANOGEN_DATA"
DEFAULT = "~/.cache/nanogen/data"  # where that is not set
HOW = "`nanogen fetch RUN` gets it"
PART_OF = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


@frozen
class DataPlace:
    """Where data is looked for: a folder, which may be none, and whether what it lacks may be fetched.

    With `notes`, finders write down what they are asked for, and look for nothing.
    """

    folder: Path | None = None
    download: bool = False
    notes: list[Need] | None = field(default=None, eq=False, repr=False)

    @classmethod
    def here(cls, *, download: bool = False) -> DataPlace:
        """What the environment says."""
        return cls(data_folder(), download and not is_offline())

    def note(self, need: Need) -> None:
        if self.notes is not None:
            self.notes.append(need)
            raise Noted


def data_folder() -> Path:
    """The folder that the environment names, or one in the user's home."""
    return Path(os.environ.get(VARIABLE) or DEFAULT).expanduser()


def find_rows(name: str, *, subset: str, split: str, place: DataPlace, path: str | None = None) -> Table:
    """The rows of a split of a named data set; raises Fault that says where it was looked for, and how to get it."""
    from stages.data.table import open_table  # a run is checked without what reads parquet

    data = data_set(name)
    known = data.splits(subset)
    if split not in known:
        raise Fault(f"`{name}` has no split `{split}`", nearest(split, known))
    if path is not None:
        files = _given(Path(path), known[split])
    else:
        need = Rows(name, subset, split)
        place.note(need)
        files = files_of(data, known[split], place.folder)
        if not files and place.download:
            _fetch(need, place)
            files = files_of(data, known[split], place.folder)
        _check_hashes(data, files)
    if not files:
        raise _absent(name, data, known[split], place, path)
    return open_table(files, data.columns)


def _fetch(need: Need, place: DataPlace) -> None:
    from stages.data.fetch import fetch
    from stages.progress import Reporter

    assert place.folder is not None, "a place that may fetch has a folder for it"
    fetch([need], place.folder, Reporter())


def _given(top: Path, split: Split) -> list[Path]:
    return [top] if top.is_file() else inside(top, split) or _parquets(top)


def files_of(data: DataSet, split: Split, folder: Path | None) -> list[Path]:
    """The files of a split in the folder of data, or else in the Hub's cache; none where neither has them."""
    found = inside(folder / data.folder, split) if folder is not None else []
    snapshot = cached(data.repository) if data.repository is not None and not found else None
    if snapshot is None:
        return found
    try:
        return inside(snapshot, split)
    except Fault:  # a part of it is not in the cache: it was never asked to be
        return []


def inside(top: Path, split: Split) -> list[Path]:
    """The files of a split below the folder of its data set, in whichever layout they stand there."""
    if split.file is not None:
        return [top / split.file] if (top / split.file).is_file() else []
    subset, name = split.subset, split.name
    # a repository may have a subset that is called like a split of another: what names both comes first
    for within, beside in ((top / subset / name, (top / subset,)), (top / name, (top / "data", top))):
        if found := _parquets(within):
            return found
        for folder in beside:
            if found := sorted(folder.glob(f"{name}-*.parquet")) or sorted(folder.glob(f"{name}.parquet")):
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
    parts = [found for path in files if (found := PART_OF.search(path.name))]
    if parts and (len(parts) != int(parts[0][2]) or len(parts) != len(files)):
        message = f"`{files[0].parent}` holds {len(parts)} of {int(parts[0][2])} parts of `{files[0].name}`"
        raise Fault(message, f"copy the missing ones; of a named data set, {HOW}")
    return files


def _check_hashes(data: DataSet, files: Sequence[Path]) -> None:
    for path in files:
        wanted = data.sha256(path.name)
        if wanted is not None and (found := digest(path)) != wanted:
            message = f"`{path}` is not the file that is known: {found[:12]} found, {wanted[:12]} recorded"
            raise Fault(message, f"{HOW} again; or give it as `path` if it is meant to differ")


def find_file(name: str, file: str, place: DataPlace) -> Path:
    """One file of a named data set that is made of named files."""
    data, need = data_set(name), NamedFile(name, file)
    place.note(need)
    path = place.folder / data.folder / file if place.folder is not None else None
    if path is not None and not path.is_file() and place.download:
        _fetch(need, place)
    if path is None or not path.is_file():
        raise _absent(name, data, Split(name=file, file=file), place, None)
    _check_hashes(data, [path])
    return path


def get_shards(need: Corpus, place: DataPlace) -> None:
    """Fetch what the folder of data lacks of a corpus."""
    _fetch(need, place)


def _absent(name: str, data: DataSet, split: Split, place: DataPlace, path: str | None) -> Absent:
    what = f"`{name}`, split `{split.name}`"
    if path is not None:
        wanted = split.file or f"{split.subset}/{split.name}/*.parquet"
        return Absent(f"there is no {what} in `{path}`", f"it would hold `{wanted}`; it is {data.source}")
    looked = ", ".join(_looked(data, split, place))
    return Absent(
        f"there is no {what} here: looked in {looked}", f"{HOW} from {data.source}, or set {VARIABLE}"
    )


def _looked(data: DataSet, split: Split, place: DataPlace) -> Iterator[str]:
    if place.folder is None:
        yield "no folder"
    else:
        yield f"`{place.folder / data.folder / (split.file or f'{split.subset}/{split.name}')}`"
    if data.repository is not None:
        yield "the Hub's cache"
