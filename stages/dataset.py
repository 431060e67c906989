"""`dataset`: text from a source -> a corpus in two splits, `train_*.parquet` and `validation_*.parquet`.

Reads: `python_docs` (the docstrings of this Python's packages), or a folder or file of `text` (.txt, .md),
`jsonl` or `parquet`. The validation split is chosen document by document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from nanogen.structure import Count
from stages.choices import one_of, positive, share

if TYPE_CHECKING:
    from stages.work import Work

READS = ()
VERSION = 1
MODEL = False
FOLDERS = ("text", "jsonl", "parquet")
ENDINGS = {"text": (".txt", ".md"), "jsonl": (".jsonl", ".json"), "parquet": (".parquet",)}
EDGE = 65536  # bytes at each end of a file that stand for the whole in `outside`


@frozen
class Settings:
    source: str = field(validator=one_of("python_docs", *FOLDERS))
    path: str | None = None  # of a folder or a file, for all sources but python_docs
    column: str = "text"  # of jsonl and parquet
    characters: Count | None = field(default=None, validator=positive)
    validation: float = field(default=0.01, validator=share)  # share of the documents

    def __attrs_post_init__(self) -> None:
        if self.source in FOLDERS and self.path is None:
            raise ValueError(f"the source `{self.source}` needs a `path`")
        if self.source not in FOLDERS and self.path is not None:
            raise ValueError(f"the source `{self.source}` has no `path`")


def outside(settings: Settings) -> list[tuple[str, int, str]] | None:
    """The files that are read, by name, size and a hash of their ends: enough to see that one changed."""
    if settings.path is None:
        return None
    return [(p.name, p.stat().st_size, _ends(p)) for p in files(settings)]


def files(settings: Settings) -> list[Path]:
    """The files of the source; raises Fault where there are none."""
    from stages.sources.files import find_files

    assert settings.path is not None
    return find_files([Path(settings.path).expanduser()], ENDINGS[settings.source])


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256(file.read(EDGE))
        file.seek(max(0, path.stat().st_size - EDGE))
        found.update(file.read(EDGE))
    return found.hexdigest()


def run(work: Work) -> None:
    from runtime.corpus import write_corpus

    settings: Settings = work.settings
    work.tell.line(f"reading {settings.path or 'the docstrings of the packages installed here'}")
    documents = _limited(_documents(settings), settings.characters)
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


def _limited(documents: Iterator[str], characters: int | None) -> Iterator[str]:
    given = 0
    for document in documents:
        if characters is not None and given >= characters:
            return
        given += len(document)
        yield document
