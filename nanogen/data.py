"""A data file, typed: where a data set comes from, which files and splits it has, and whose terms it is under.

Knows nothing of this machine, nor of what the rows are used for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import field, frozen

from nanogen.bounds import one_of, positive
from nanogen.shelf import find
from nanogen.structure import structure
from nanogen.text.diagnostics import Diagnostic, Place, Refusal
from nanogen.text.document import Document, read_document

FORMATS = ("parquet", "json", "folder")  # `json`: one JSON value a line; `folder`: read by whoever knows it
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@frozen(kw_only=True)
class Split:
    """One split of one subset: its rows, as far as they are known."""

    name: str
    subset: str = "default"
    rows: int | None = field(default=None, validator=positive)  # what a plan reckons with, if need be about
    file: str | None = None  # the one file it stands in, where the set is made of named files


@frozen(kw_only=True)
class Hash:
    """A file whose content is known."""

    file: str
    sha256: str
    bytes: int | None = field(default=None, validator=positive)

    def __attrs_post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("`sha256` is 64 hexadecimal digits")


@frozen(kw_only=True)
class DataSet:
    """A data set: fields are keys of the file."""

    about: str
    licence: str
    format: str = field(default="parquet", validator=one_of(*FORMATS))
    repository: str | None = None  # on the Hugging Face Hub
    url: str | None = (
        None  # of what lies elsewhere: a file, a `.zip` of its folder, or the folder of its files (`/`)
    )
    columns: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # names, or ranges: `shard_{00000..01822}.parquet`
    folder: str  # below NANOGEN_DATA
    validation: str | None = None  # the one shard that is never trained on
    split: tuple[Split, ...] = ()
    hash: tuple[Hash, ...] = ()
    example: tuple[dict[str, Any], ...] = ()  # made-up rows, or files of a folder: what rehearsals learn from

    def __attrs_post_init__(self) -> None:
        if self.repository is None and self.url is None:
            raise ValueError("a data set has a `repository` or a `url`")
        if self.validation is not None and self.validation not in self.all_files:
            raise ValueError(f"`validation` names {self.validation}, which is none of the files")
        wanted = ("file", "text") if self.format == "folder" else self.columns
        if any(wanted and set(row) != set(wanted) for row in self.example):
            raise ValueError(f"an `example` has {', '.join(wanted)}")

    @property
    def all_files(self) -> tuple[str, ...]:
        """The names of its files, ranges written out."""
        return tuple(name for pattern in self.files for name in expand(pattern))

    def sha256(self, name: str) -> str | None:
        return next((h.sha256 for h in self.hash if h.file == name), None)

    def size(self, name: str) -> int | None:
        return next((h.bytes for h in self.hash if h.file == name), None)

    @property
    def archive(self) -> bool:
        """Whether it comes as one file that holds its folder."""
        return self.url is not None and self.url.endswith(".zip")

    def address(self, file: str) -> str | None:
        """Where a file of a set that is not on the Hub comes from; None where nobody knows."""
        if self.url is None or self.archive:
            return self.url
        if self.url.endswith("/"):
            return self.url + file
        return self.url if self.url.rsplit("/", 1)[-1] == file else None

    def splits(self, subset: str) -> dict[str, Split]:
        return {s.name: s for s in self.split if s.subset == subset}

    @property
    def source(self) -> str:
        return self.repository or self.url or ""


def expand(pattern: str) -> list[str]:
    """`a_{08..10}.txt` is `a_08.txt`, `a_09.txt` and `a_10.txt`; a name without a range is itself."""
    found = _RANGE.search(pattern)
    if found is None:
        return [pattern]
    digits = len(found[1])
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [f"{pattern[: found.start()]}{n:0{digits}d}{pattern[found.end() :]}" for n in numbers]


def data_set(name: str) -> DataSet:
    """A data set by its name or file; raises Refusal."""
    return load_data_set(find(name, "data"))


def load_data_set(path: Path, name: str | None = None) -> DataSet:
    """Read a data file; raises Refusal with every fault that was found."""
    document, faults = read_document(path, name)
    found, faults = (None, faults) if faults else read_data_set(document)
    if found is None:
        raise Refusal(faults, document)
    return found


def read_data_set(document: Document) -> tuple[DataSet | None, list[Diagnostic]]:
    """Return the typed data set, or None and what is wrong with it."""
    kind = document.data.get("kind")
    if kind != "data":
        message = (
            f"this is of kind `{kind}`, not data" if kind is not None else 'data opens with `kind = "data"`'
        )
        help = "name a file such as `gsm8k`" if kind is not None else 'write `kind = "data"` first'
        return None, [Diagnostic("NG102", message, Place(("kind",)), help=help)]
    return structure(DataSet, {k: v for k, v in document.data.items() if k != "kind"}, ())
