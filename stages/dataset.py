"""`dataset`: text from a source -> a corpus in two splits, `train_*.parquet` and `validation_*.parquet`.

Reads: `python_docs` (the docstrings of this Python's packages), a folder or file of `text` (.txt, .md), `jsonl` or
`parquet`, or a corpus by its name, as `fineweb_edu_100b`. Of a named corpus, one shard is the validation split and
the others are linked where they lie; else the validation split is chosen document by document.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from nanogen.data import data_set
from nanogen.structure import Count
from runtime.faults import Fault
from stages.choices import one_of, positive, quiet, setting, share
from stages.data.needs import Corpus, Wish
from stages.data.offline import is_offline
from stages.data.place import DataPlace
from stages.data.shards import CORPORA, Shards, find_shards, shard_names, shards_here
from stages.runfile.unread import Idle
from stages.sources.files import file_facts
from stages.sources.limit import limited
from stages.training.footprint import Footprint

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from runtime.corpus import CorpusSummary
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = ()
VERSION = 1
MODEL = False
SEED = False
FOLDERS = ("text", "jsonl", "parquet")
ENDINGS = {"text": (".txt", ".md"), "jsonl": (".jsonl",), "parquet": (".parquet",)}


@frozen
class Settings:
    source: str = setting(
        "the docstrings of this Python's packages, files of one kind, or a corpus by name",
        validator=one_of("python_docs", *FOLDERS, *CORPORA),
    )
    # what counts is the content, not where it lies
    path: str | None = quiet("the folder or file to read, counting from the run file", default=None)
    shards: int | None = setting(
        "of a named corpus, how many shards to train on; unsaid, all", default=None, validator=positive
    )
    validation_shard: str | None = setting(
        "of a named corpus, the file that is validated on and never trained on; unsaid, the one that it pins",
        default=None,
    )
    download: bool = quiet("fetch shards that are not here, as the run begins", default=False)
    column: str = setting("the column of the text, in jsonl and parquet", default="text")
    characters: Count | None = setting(
        "how much text to take at most; unsaid, all", default=None, validator=positive
    )
    validation: float = setting(
        "share of the documents that is kept for validation; a named corpus keeps a shard",
        default=0.01,
        validator=share,
    )

    def __attrs_post_init__(self) -> None:
        if self.source in FOLDERS and self.path is None:
            raise ValueError(f"the source `{self.source}` needs a `path`")
        if self.source == "python_docs" and self.path is not None:
            raise ValueError(f"the source `{self.source}` has no `path`")
        for name in ("shards", "validation_shard", "download"):
            if self.source not in CORPORA and getattr(self, name):
                raise ValueError(f"`{name}` is for a named corpus, and the source is {self.source}")


def idle(settings: Settings) -> Idle:
    found = {}
    if settings.source in ("python_docs", "text"):
        found["column"] = (f"the source {settings.source} has no columns", "leave it out")
    if settings.source in CORPORA and settings.characters is None and settings.column == "text":
        help = "leave it out: one shard is kept for validation"
        found["validation"] = ("whole shards of a named corpus are taken", help)
    if settings.source in CORPORA and settings.path is not None:
        found["download"] = ("the shards are read from `path`", "leave one of the two out")
    return found


def check(settings: Settings, compiled: Compiled | None) -> None:
    if settings.source in CORPORA:
        shard_names(data_set(settings.source), settings.shards)
        if not settings.download or is_offline():
            shards_of(settings)
    elif settings.path is not None:
        try:
            found = files(settings)
        except Fault as fault:
            raise Fault(f"`path`: {fault.message}", fault.help) from None
        if not any(path.stat().st_size for path in found):
            raise Fault(f"`path`: `{settings.path}` holds no text", "name a file that has some")


def disk(settings: Settings, compiled: Compiled | None) -> Footprint:
    """Text is written compressed, and takes at most as much as it is long; whole shards are linked."""
    if settings.source in CORPORA or settings.path is None:
        linked = settings.characters is None
        return Footprint(0 if linked else int(settings.characters or 0))
    size = sum(path.stat().st_size for path in files(settings))
    return Footprint(min(size, settings.characters or size))


def rehearsal(settings: Settings, small: Small) -> Settings:
    """A little text; of a named corpus, one shard of those that are here, or of made-up text."""
    characters = min(settings.characters or small.characters, small.characters)
    few = evolve(settings, characters=characters, download=False)
    if few.source not in CORPORA:
        return few
    few = evolve(few, shards=1)
    for kept in (few.validation_shard, _last_here(few)):
        try:
            shards_of(evolve(few, validation_shard=kept))
        except Fault:
            continue
        return evolve(few, validation_shard=kept)
    return evolve(few, path=small.stand_in(few.source), validation_shard=None)


def _last_here(settings: Settings) -> str | None:
    """A rehearsal may validate on any shard, where the one that is kept for it is not here."""
    here = shards_here(settings.source, DataPlace.here(), path=settings.path)
    return here[-1].name if here else None


def needs(settings: Settings) -> list[Wish]:
    """The shards of a named corpus; where the run names the one to validate on, the user's own are meant."""
    own = settings.path is not None or settings.validation_shard is not None
    if settings.source not in CORPORA or own:
        return []
    return [Wish(Corpus(settings.source, settings.shards), settings.download)]


def outside(settings: Settings) -> dict[str, Any]:
    """The files that are read, by name, size and hash; shards by name and size, since hashing them takes hours."""
    if settings.source in CORPORA:
        try:
            found = shards_of(settings, download=False)
        except Fault:
            return {}  # still to be fetched
        return {"data": [(p.name, p.stat().st_size, "") for p in (*found.train, found.validation)]}
    if settings.path is None:
        return {}
    top = Path(settings.path)
    names = {p: p.relative_to(top if top.is_dir() else p.parent).as_posix() for p in files(settings)}
    return {"data": [(name, *file_facts(path)) for path, name in names.items()]}


def shards_of(settings: Settings, *, download: bool | None = None) -> Shards:
    """The shards of a named corpus; raises Fault where they are not here and may not be fetched."""
    place = DataPlace.here(download=settings.download if download is None else download)
    named = settings.validation_shard
    return find_shards(settings.source, settings.shards, place, path=settings.path, validation=named)


def files(settings: Settings) -> list[Path]:
    """The files of the source; raises Fault where there are none."""
    from stages.sources.files import find_files

    assert settings.path is not None
    return find_files([Path(settings.path)], ENDINGS[settings.source])


def run(work: Work) -> None:
    from runtime.corpus import write_corpus

    settings: Settings = work.settings
    if settings.source in CORPORA:
        summary = _named(work, settings)
    else:
        work.tell.line(f"reading {settings.path or 'the docstrings of the packages installed here'}")
        documents = limited(_documents(settings), settings.characters)
        summary = write_corpus(work.folder, documents, validation=settings.validation)
    train, validation = summary.train, summary.validation
    work.tell.line(
        f"{train.documents:,} documents, {train.text_bytes / 1e6:,.1f} MB to train on; "
        f"{validation.documents:,} documents, {validation.text_bytes / 1e6:,.2f} MB to validate"
    )
    work.finish(
        {
            "source": settings.source,
            "train": {"documents": train.documents, "bytes": train.text_bytes},
            "validation": {"documents": validation.documents, "bytes": validation.text_bytes},
        }
    )


def _named(work: Work, settings: Settings) -> CorpusSummary:
    """Link the shards where they lie; write what is asked for where that is only a part of them."""
    from runtime.corpus import link_corpus, write_splits
    from stages.sources.rows import documents

    found = shards_of(settings)
    named = "which the run names for it" if settings.validation_shard else "the last of these"
    which = "which is kept for it" if found.pinned else named
    work.tell.line(
        f"{len(found.train):,} shards of {settings.source}; validating on {found.validation.name}, {which}"
    )
    if settings.characters is None and settings.column == "text":
        return link_corpus(work.folder, found.train, found.validation)
    train = limited(documents(found.train, column=settings.column), settings.characters)
    most = settings.characters and max(int(settings.characters * settings.validation), 1)
    validation = limited(documents([found.validation], column=settings.column), most)
    return write_splits(work.folder, train, validation)


def _documents(settings: Settings) -> Iterator[str]:
    if settings.source == "python_docs":
        from stages.sources.python_docs import documents

        return documents(characters=settings.characters)
    if settings.source == "text":
        from stages.sources.text import documents

        return documents(files(settings))
    from stages.sources.rows import documents

    return documents(files(settings), column=settings.column)
