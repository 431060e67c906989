"""`dataset`: text from a source -> a corpus in two splits, `train_*.parquet` and `validation_*.parquet`.

Reads: `python_docs` (the docstrings of this Python's packages), or a folder or file of `text` (.txt, .md),
`jsonl` or `parquet`. The validation split is chosen document by document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from nanogen.structure import Count
from stages.choices import one_of, positive, quiet, setting, share
from stages.sources.limit import limited

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.work import Work

READS = ()
VERSION = 1
MODEL = False
SEED = False
FOLDERS = ("text", "jsonl", "parquet")
ENDINGS = {"text": (".txt", ".md"), "jsonl": (".jsonl",), "parquet": (".parquet",)}
WHOLE = 256 * 2**20  # bytes; of a larger file the two ends of half this size stand for the whole in `outside`


@frozen
class Settings:
    source: str = setting(
        "the docstrings of this Python's packages, or files of one kind",
        validator=one_of("python_docs", *FOLDERS),
    )
    # what counts is the content, not where it lies
    path: str | None = quiet("the folder or file to read, counting from the run file", default=None)
    column: str = setting("the column of the text, in jsonl and parquet", default="text")
    characters: Count | None = setting(
        "how much text to take at most; unsaid, all", default=None, validator=positive
    )
    validation: float = setting(
        "share of the documents that is kept for validation", default=0.01, validator=share
    )

    def __attrs_post_init__(self) -> None:
        if self.source in FOLDERS and self.path is None:
            raise ValueError(f"the source `{self.source}` needs a `path`")
        if self.source not in FOLDERS and self.path is not None:
            raise ValueError(f"the source `{self.source}` has no `path`")


def check(settings: Settings, compiled: Compiled | None) -> None:
    if settings.path is not None:
        files(settings)


def outside(settings: Settings) -> list[tuple[str, int, str]] | None:
    """The files that are read, by name, size and hash."""
    if settings.path is None:
        return None
    top = Path(settings.path)
    return [
        (p.relative_to(top if top.is_dir() else p.parent).as_posix(), p.stat().st_size, _digest(p))
        for p in files(settings)
    ]


def files(settings: Settings) -> list[Path]:
    """The files of the source; raises Fault where there are none."""
    from stages.sources.files import find_files

    assert settings.path is not None
    return find_files([Path(settings.path)], ENDINGS[settings.source])


def _digest(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        found = hashlib.sha256(file.read(WHOLE // 2))
        file.seek(size - WHOLE // 2)
        found.update(file.read())
    return found.hexdigest()


def run(work: Work) -> None:
    from runtime.corpus import write_corpus

    settings: Settings = work.settings
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


def _documents(settings: Settings) -> Iterator[str]:
    if settings.source == "python_docs":
        from stages.sources.python_docs import documents

        return documents(characters=settings.characters)
    if settings.source == "text":
        from stages.sources.text import documents

        return documents(files(settings))
    from stages.sources.rows import documents

    return documents(files(settings), column=settings.column)
