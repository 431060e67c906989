"""Shards of a named corpus: those to train on, and the one to validate on, which is never among them.

Knows nothing of what they become.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from nanogen.data import DataSet, data_set
from runtime.faults import Absent, Fault
from stages.data.hub import hub_file
from stages.data.place import VARIABLE, DataPlace

CORPORA = ("climbmix_400b", "finedataset_13b_jpen", "fineweb_edu_100b")


@frozen
class Shards:
    train: tuple[Path, ...]
    validation: Path
    pinned: bool  # the validation shard is the one that the data set names, not just the last that is here


def find_shards(name: str, count: int | None, place: DataPlace, *, path: str | None = None) -> Shards:
    """The first `count` shards and the validation shard; raises Fault that says what is missing."""
    data, names = data_set(name), names_of_shards(name, count)
    assert data.validation is not None, f"`{name}` names no validation shard"
    folder = Path(path) if path is not None else place.folder / data.folder if place.folder else None
    if folder is not None and (here := _here(folder, data)):
        return _local(name, here, count, data, folder)
    if path is not None or not place.download:
        return _cached(name, data, names, folder, path)
    validation = hub_file(data, data.validation, download=True)
    train = [hub_file(data, file, download=True) for file in names]
    assert validation is not None
    return Shards(tuple(p for p in train if p is not None), validation, True)


def names_of_shards(name: str, count: int | None) -> list[str]:
    """The first `count` shards to train on; raises Fault where there are not so many anywhere."""
    data = data_set(name)
    names = [file for file in data.all_files if file != data.validation]
    if count is not None and count > len(names):
        message = f"`shards` is {count:,}, and `{name}` has {len(names):,} to train on"
        raise Fault(message, f"ask for at most {len(names):,}")
    return names[: count or len(names)]


def _here(folder: Path, data: DataSet) -> list[Path]:
    """The shards in a folder, by the names that they have there, in order."""
    known = {Path(file).name for file in data.all_files}
    files = {p.name: p for top in (folder, folder / "data") if top.is_dir() for p in top.glob("*.parquet")}
    return [files[name] for name in sorted(files) if name in known or name.startswith("shard_")]


def _local(name: str, here: list[Path], count: int | None, data: DataSet, folder: Path) -> Shards:
    pinned = [path for path in here if path.name == Path(data.validation or "").name]
    validation = (pinned or here[-1:])[0]
    train = [path for path in here if path != validation]
    wanted = count or len(train)
    if not train or wanted > len(train):
        message = (
            f"`{folder}` holds {len(train)} shards of `{name}` to train on, and {max(wanted, 1)} are wanted"
        )
        raise Fault(message, "ask for fewer `shards`, or copy more; the validation shard does not count")
    return Shards(tuple(train[:wanted]), validation, bool(pinned))


def _cached(name: str, data: DataSet, names: list[str], folder: Path | None, path: str | None) -> Shards:
    """From the Hub's cache, without the network."""
    if path is None and data.validation is not None:
        validation = hub_file(data, data.validation, download=False)
        found = [hub_file(data, file, download=False) for file in names] if validation is not None else []
        train = tuple(p for p in found if p is not None)
        if validation is not None and len(train) == len(names):
            return Shards(train, validation, True)
    looked = f"`{folder}`" if folder is not None else f"no folder, since {VARIABLE} is not set"
    message = f"there are no shards of `{name}` here: looked in {looked}" + (
        ", the Hub's cache" if path is None else ""
    )
    help = (
        f"let the run fetch {data.source} from the Hub with `download = true`, or give their folder as `path`"
    )
    raise Absent(message, help)
