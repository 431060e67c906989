"""Shards of a named corpus: those to train on, and the one to validate on, which is never among them.

The shard to validate on is the one that the data set pins, or one that the run names; of a folder whose shards have
names of their own, the last. Knows nothing of what they become.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from nanogen.data import DataSet, data_set
from runtime.faults import Absent, Fault
from stages.data.hub import cached
from stages.data.needs import Corpus
from stages.data.place import HOW, DataPlace, get_shards

CORPORA = ("climbmix_400b", "finedataset_13b_jpen", "fineweb_edu_100b")


@frozen
class Shards:
    train: tuple[Path, ...]
    validation: Path
    pinned: bool  # the validation shard is the one that the data set names


def find_shards(
    name: str,
    count: int | None,
    place: DataPlace,
    *,
    path: str | None = None,
    validation: str | None = None,
) -> Shards:
    """The first `count` shards and the one to validate on; raises Fault that says what is missing."""
    data = data_set(name)
    names = shard_names(data, count)
    if path is not None:
        return _local(data, name, count, Path(path), validation, own=True)
    need = Corpus(name, count)
    place.note(need)
    folder = place.folder / data.folder if place.folder is not None else None
    if validation is not None and folder is not None:
        return _local(data, name, count, folder, validation, own=False)
    if place.download and not _all_here(folder, names):
        snapshot = cached_shards(data, names)
        if snapshot is not None:
            return snapshot
        get_shards(need, place)
    if folder is not None and shards_in(folder, data):
        return _local(data, name, count, folder, validation, own=False)
    found = cached_shards(data, names)
    if found is None:
        looked = f"`{folder}`" if folder is not None else "no folder"
        message = f"there are no shards of `{name}` here: looked in {looked}, the Hub's cache"
        raise Absent(message, f"{HOW} from {data.source}; or give their folder as `path`")
    return found


def shard_names(data: DataSet, count: int | None) -> list[str]:
    """The names of the first `count` shards to train on, and of the pinned one behind them."""
    assert data.validation is not None, "a corpus pins the shard that it validates on"
    names = [file for file in data.all_files if file != data.validation]
    if count is not None and count > len(names):
        message = f"`shards` is {count:,}, and `{data.source}` has {len(names):,} to train on"
        raise Fault(message, f"ask for at most {len(names):,}")
    return [*names[:count], data.validation]


def shards_in(folder: Path, data: DataSet) -> list[Path]:
    """The shards in a folder, by the names that they have there, in order."""
    known = own_names(data)
    files = {p.name: p for top in (folder, folder / "data") if top.is_dir() for p in top.glob("*.parquet")}
    return [files[name] for name in sorted(files) if name in known or name.startswith("shard_")]


def shards_here(name: str, place: DataPlace, *, path: str | None = None) -> list[Path]:
    """Whichever shards of a corpus are in a folder, or else in the folder of data."""
    data = data_set(name)
    folder = (
        Path(path) if path is not None else place.folder / data.folder if place.folder is not None else None
    )
    return shards_in(folder, data) if folder is not None else []


def own_names(data: DataSet) -> set[str]:
    """What the corpus calls its shards."""
    return {Path(file).name for file in data.all_files}


def _all_here(folder: Path | None, names: list[str]) -> bool:
    if folder is None:
        return False
    return all(any((top / Path(n).name).is_file() for top in (folder, folder / "data")) for n in names)


def _local(
    data: DataSet, name: str, count: int | None, folder: Path, named: str | None, *, own: bool
) -> Shards:
    here = shards_in(folder, data)
    if not here:
        raise Fault(
            f"there are no shards of `{name}` here: looked in `{folder}`", f"{HOW} from {data.source}"
        )
    pinned = Path(data.validation or "").name
    kept = _kept(here, data, name, folder, named, own=own)
    train = [path for path in here if not path.samefile(kept)]
    wanted = count or len(train)
    if not train or wanted > len(train):
        message = (
            f"`{folder}` holds {len(train)} shards of `{name}` to train on, and {max(wanted, 1)} are wanted"
        )
        raise Fault(
            message, f"ask for fewer `shards`, or get more: {HOW}; the validation shard does not count"
        )
    return Shards(tuple(train[:wanted]), kept, kept.name == pinned)


def _kept(here: list[Path], data: DataSet, name: str, folder: Path, named: str | None, *, own: bool) -> Path:
    """The shard to validate on; raises Fault rather than take one that is meant to be trained on."""
    wanted = named or Path(data.validation or "").name
    found = next((path for path in here if path.name == wanted), None)
    if found is not None:
        return found
    if named is None and own and own_names(data).isdisjoint(path.name for path in here):
        return here[-1]
    if named is not None:
        message = f"`validation_shard` names `{named}`, and `{folder}` holds no such shard of `{name}`"
        raise Fault(message, f"it holds {here[0].name} to {here[-1].name}")
    message = (
        f"the validation shard of `{name}`, `{wanted}`, is not in `{folder}`, and no other takes its place"
    )
    help = f'{HOW}; or name one that is never trained on: `validation_shard = "{here[-1].name}"`'
    raise Absent(message, help)


def cached_shards(data: DataSet, names: list[str]) -> Shards | None:
    """From the Hub's cache, where it has every one."""
    snapshot = cached(data.repository) if data.repository is not None else None
    if snapshot is None or not all((snapshot / name).is_file() for name in names):
        return None
    *train, kept = (snapshot / name for name in names)
    return Shards(tuple(train), kept, True)
