"""What is asked for, as files: where each lies or would lie, whether it is here whole, how large, and where it comes from.

Looks, and asks for sizes where it may; gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from attrs import define, field, frozen

from nanogen.data import DataSet, Split, data_set
from runtime.faults import Fault
from runtime.manifest import digest
from stages.data import place, shards
from stages.data.hub import Listing, list_files
from stages.data.needs import Bundle, Corpus, NamedFile, Need, PublishedEncoding, Rows
from stages.data.offline import is_offline
from stages.data.records import FOLDER, Records
from stages.data.transfer import Wanted
from stages.data.web import Hiccup, Patience, Refused, ask, md5_of

HERE, MISSING, STUCK = "here", "missing", "stuck"  # the last: it is missing, and cannot be got
UNPACKED = 4  # about how much larger a bundle is when it is unpacked


@frozen
class Item:
    """One file."""

    name: str  # of the data set
    file: str  # below the folder of data
    path: Path
    state: str
    source: str
    size: int | None = None
    wanted: Wanted | None = None
    revision: str | None = None
    unpacks: Path | None = None  # the folder that it is an archive of
    why: str = ""  # it is stuck
    again: bool = False  # asking once more may help

    @property
    def label(self) -> str:
        """How people call it: files of encodings lie under names that say nothing."""
        return self.name if self.name.startswith("tiktoken ") else self.file

    @property
    def disk(self) -> int:
        """Bytes that it takes on disk, as far as they are known."""
        return (self.size or 0) * (1 + UNPACKED if self.unpacks is not None else 1)


@define
class Planner:
    """Looks into one folder of data; keeps what the Hub has told."""

    top: Path
    patience: Patience = field(factory=Patience)
    silent: bool = False  # nothing is asked of the network
    records: Records = field(init=False)
    _listings: dict[str, Listing | Hiccup] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.records = Records(self.top)
        self.silent = self.silent or is_offline()

    def plan(self, needs: Iterable[Need]) -> list[Item]:
        """Every file that is asked for, once."""
        found: dict[Path, Item] = {}
        for need in needs:
            for item in self._items(need):
                found.setdefault(item.path, item)
        return list(found.values())

    def forget(self) -> None:
        """Ask the Hub anew."""
        self._listings.clear()

    def _items(self, need: Need) -> Iterator[Item]:
        if isinstance(need, PublishedEncoding):
            yield from self._encoding(need)
            return
        data = data_set(need.name)
        if isinstance(need, Corpus):
            yield from self._corpus(need, data)
        elif isinstance(need, NamedFile):
            yield self._single(need.name, data, need.file)
        elif isinstance(need, Bundle):
            yield self._bundle(need.name, data)
        else:
            yield from self._rows(need, data)

    # -- one kind of need each

    def _rows(self, need: Rows, data: DataSet) -> Iterator[Item]:
        split = data.splits(need.subset)[need.split]
        if split.file is not None:
            yield self._single(need.name, data, split.file)
            return
        try:
            files = place.files_of(data, split, self.top)
        except Fault:  # some of its parts
            files = []
        states = [self._state(need.name, path) for path in files]
        if files and all(state == HERE for state in states):
            yield from (self._here(need.name, data, path) for path in files)
            return
        listing = self._listing(need.name, data)
        pattern = f"{data.folder}/{split.subset}/{split.name}-*.parquet"
        if not isinstance(listing, Listing):
            yield self._stuck(need.name, data, pattern, listing)
            return
        names = files_of_split(listing.files, split)
        if not names:
            why = f"{data.repository} holds no parquet files of {split.subset}, {split.name}, or not all"
            yield self._stuck(need.name, data, pattern, Hiccup(why))
        for name in names:
            yield self._listed(need.name, data, name, listing)

    def _corpus(self, need: Corpus, data: DataSet) -> Iterator[Item]:
        names = shards.shard_names(data, need.shards)
        cached = shards.cached_shards(data, names)
        folder = self.top / data.folder
        paths = [_first(folder / name, folder / Path(name).name) for name in names]
        if cached is not None and not all(path.is_file() for path in paths):
            yield from (self._here(need.name, data, p) for p in (*cached.train, cached.validation))
            return
        if all(self._state(need.name, path) == HERE for path in paths):
            yield from (self._here(need.name, data, path) for path in paths)
            return
        listing = self._listing(need.name, data)
        for name, path in zip(names, paths, strict=True):
            if isinstance(listing, Listing):
                yield self._listed(need.name, data, name, listing, path)
            elif self._state(need.name, path) == HERE:
                yield self._here(need.name, data, path)
            else:
                yield self._stuck(need.name, data, f"{data.folder}/{name}", listing)

    def _single(self, name: str, data: DataSet, file: str) -> Item:
        path, known = self.top / data.folder / file, data.sha256(file)
        if self._state(name, path, known) == HERE:
            return self._here(name, data, path)
        address, size = data.address(file), data.size(file)
        if address is None:
            return self._stuck(name, data, self._below(path), Refused(f"copy it from {data.source}"), size)
        if self.silent:
            return self._stuck(name, data, self._below(path), _silent(), size)
        wanted = _asked(Wanted(address, size, known))
        return Item(name, self._below(path), path, MISSING, address, wanted.size, wanted)

    def _bundle(self, name: str, data: DataSet) -> Item:
        folder = self.top / data.folder
        named = [folder / file for file in data.all_files]
        facts = self.records.of(name)["files"]
        recorded = [self._state(name, self.top / file) for file in facts]
        if all(path.is_file() for path in named) and all(state == HERE for state in recorded):
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            return Item(name, data.folder, folder, HERE, data.source, size)
        if self.silent:
            return self._stuck(name, data, data.folder, _silent())
        wanted, path = _asked(Wanted(data.source)), self.top / FOLDER / f"{name}.zip"
        return Item(name, data.folder, path, MISSING, data.source, wanted.size, wanted, unpacks=folder)

    def _encoding(self, need: PublishedEncoding) -> Iterator[Item]:
        from stages.evaluating import encodings

        for url, known in encodings.files(need.name):
            path = self.top / encodings.FOLDER / encodings.key(url)
            name, found = f"tiktoken {url.rsplit('/', 1)[-1]}", encodings.find(url, known)
            if found is not None:
                yield Item(name, self._below(found), found, HERE, url, found.stat().st_size)
            elif self.silent:
                yield Item(name, self._below(path), path, STUCK, url, why=str(_silent()))
            else:
                wanted = _asked(Wanted(url, sha256=known))
                yield Item(name, self._below(path), path, MISSING, url, wanted.size, wanted)

    # -- of one file

    def _state(self, name: str, path: Path, known: str | None = None) -> str:
        """Whether a file is here whole: by its record, or else by its hash, or else by its own form."""
        if not path.is_file():
            return MISSING
        fact = self.records.fact(name, self._below(path))
        if fact is not None:
            return HERE if path.stat().st_size == fact.size else MISSING
        if known is not None:
            return HERE if digest(path) == known else MISSING
        return HERE if _well_formed(path) else MISSING

    def _listed(
        self, name: str, data: DataSet, file: str, listing: Listing, path: Path | None = None
    ) -> Item:
        """A file of the Hub; one that is here, was not fetched and has another size is somebody's own."""
        path, wanted = path or self.top / data.folder / file, listing.files.get(file)
        if wanted is None:
            return self._stuck(name, data, self._below(path), Hiccup(f"{data.repository} has no `{file}`"))
        if self._state(name, path) != HERE:
            size, revision = wanted.size, listing.revision
            return Item(name, self._below(path), path, MISSING, wanted.url, size, wanted, revision)
        size, recorded = path.stat().st_size, self.records.fact(name, self._below(path))
        if recorded is None and size != wanted.size:
            why = f"another file has its name: {size:,} bytes here, {wanted.size:,} there; move it away"
            return self._stuck(name, data, self._below(path), Refused(why), wanted.size)
        return self._here(name, data, path)

    def _here(self, name: str, data: DataSet, path: Path) -> Item:
        return Item(name, self._below(path), path, HERE, data.source, path.stat().st_size)

    def _stuck(self, name: str, data: DataSet, file: str, why: Exception, size: int | None = None) -> Item:
        again = isinstance(why, Hiccup)
        return Item(name, file, self.top / file, STUCK, data.source, size, why=str(why), again=again)

    def _below(self, path: Path) -> str:
        """How a file is named in tables and records: counting from the folder of data, where it lies there."""
        return path.relative_to(self.top).as_posix() if path.is_relative_to(self.top) else str(path)

    def _listing(self, name: str, data: DataSet) -> Listing | Hiccup | Refused:
        """What the Hub tells of a repository, at the commit that earlier files came from; or why it told nothing."""
        assert data.repository is not None, f"`{name}` has no repository"
        if self.silent:
            return _silent()
        if data.repository not in self._listings:
            try:
                found = list_files(data.repository, self.patience, self.records.revision(name))
            except (Hiccup, Refused) as error:
                found = Hiccup(f"{data.repository} cannot be listed: {error}")
            self._listings[data.repository] = found
        return self._listings[data.repository]


def files_of_split(names: Iterable[str], split: Split) -> list[str]:
    """The files of a split among those of a repository, in the layouts in which they stand there."""
    found = [PurePosixPath(name) for name in names if name.endswith(".parquet")]
    inside: dict[str, list[PurePosixPath]] = {}
    for path in sorted(found):
        inside.setdefault(str(path.parent), []).append(path)
    layouts = ((f"{split.subset}/{split.name}", (split.subset,)), (split.name, ("data", ".")))
    for within, beside in layouts:  # as `place.inside` looks for them
        parts = inside.get(within, [])
        for folder in beside:
            there = inside.get(folder, [])
            parts = parts or [path for path in there if path.name.startswith(f"{split.name}-")]
            parts = parts or [path for path in there if path.stem == split.name]
        if parts:
            listed = [str(path) for path in parts]
            return listed if _all_listed(listed) else []
    return []


def _all_listed(names: list[str]) -> bool:
    """Whether parts that say how many they are are as many."""
    found = [place.PART_OF.search(name) for name in names]
    return all(one is None or int(one[2]) == len(names) for one in found)


def _first(*paths: Path) -> Path:
    """The first that is there, or else where it would lie."""
    return next((path for path in paths if path.is_file()), paths[0])


def _silent() -> Refused:
    return Refused("missing; offline, so it is not asked for")


def _asked(wanted: Wanted) -> Wanted:
    """With its size, and its MD5 where the server names it so, as S3 does; as it is where the server does not say."""
    try:
        with ask(wanted.url, method="HEAD") as answer:
            length, md5 = answer.headers.get("Content-Length"), md5_of(answer.headers)
    except (Hiccup, Refused):
        return wanted
    size = int(length) if length is not None and length.isdigit() else None
    return Wanted(wanted.url, wanted.size or size, wanted.sha256, md5=md5)


def _well_formed(path: Path) -> bool:
    """Whether a file that nobody has recorded is whole as far as its form can tell."""
    if path.suffix != ".parquet":
        return path.stat().st_size > 0
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
