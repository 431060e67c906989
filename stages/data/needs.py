"""What a run asks for by name: rows of a split, a file, shards, a bundle, an encoding. Knows nothing of where it lies."""

from __future__ import annotations

from attrs import frozen


@frozen
class Rows:
    """A split of a named data set."""

    name: str
    subset: str
    split: str


@frozen
class NamedFile:
    """One file of a named data set."""

    name: str
    file: str


@frozen
class Corpus:
    """The first shards of a named corpus, and the one that is kept for validation."""

    name: str
    shards: int | None  # None is all


@frozen
class Bundle:
    """A named folder, which comes as one archive."""

    name: str


@frozen
class PublishedEncoding:
    """Files of an encoding that tiktoken knows; what would be measured on it can be left out."""

    name: str


Need = Rows | NamedFile | Corpus | Bundle | PublishedEncoding


class Noted(Exception):
    """A finder has noted what it was asked for, and looks no further."""


@frozen
class Wish:
    """Something that a stage needs."""

    need: Need
    download: bool = False  # the run file lets it be fetched as the run begins
    optional: bool = False  # what would be done with it can be left out
