"""Write a folder of documents to learn from, and read it back from any place in it.

The folder holds `train_00000.parquet`, ... and `validation_00000.parquet`, ... with a column `text`; they may be
links to shards that lie elsewhere. Knows nothing of tokens, nor of where the documents came from.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import define, field, frozen

from runtime import atomic
from runtime.faults import Fault
from runtime.unicode import well_formed

COLUMN = "text"
TRAIN, VALIDATION = "train", "validation"
ROW_GROUP = 256  # documents: what has to be read to reach one of them
SHARD_BYTES = 64 << 20  # of UTF-8 text; about a third of it on disk

SCHEMA = pa.schema([(COLUMN, pa.string())])


@frozen(order=True)
class Position:
    """A place in a split: the document `row` of the file `file`, both counted from 0."""

    file: int = 0
    row: int = 0

    @property
    def after(self) -> "Position":
        """Where to go on once this document is read; it may be the end of a file."""
        return Position(self.file, self.row + 1)


@frozen
class SplitSummary:
    documents: int
    text_bytes: int  # of UTF-8, before compression; of linked shards about that, as parquet counts it
    files: int


@frozen
class CorpusSummary:
    train: SplitSummary
    validation: SplitSummary


def write_corpus(
    folder: Path, documents: Iterable[str], *, validation: float = 0.01, shard_bytes: int = SHARD_BYTES
) -> CorpusSummary:
    """Write the documents to `folder`, about the fraction `validation` of them to the validation split.

    What an earlier write left there is replaced, but only once every document is written.
    """
    assert 0 < validation < 1, validation

    def split(document: str) -> tuple[str, bytes]:
        raw = well_formed(document).encode()
        return (VALIDATION if _share(raw) < validation else TRAIN), raw

    return _write(folder, map(split, documents), f"validation fraction {validation}", shard_bytes)


def write_splits(
    folder: Path, train: Iterable[str], validation: Iterable[str], *, shard_bytes: int = SHARD_BYTES
) -> CorpusSummary:
    """Write documents whose split is known; otherwise as `write_corpus` does."""
    pairs = (
        (name, well_formed(document).encode())
        for name, documents in ((VALIDATION, validation), (TRAIN, train))
        for document in documents
    )
    return _write(folder, pairs, "the splits were given", shard_bytes)


def _write(folder: Path, documents: Iterable[tuple[str, bytes]], how: str, shard_bytes: int) -> CorpusSummary:
    folder.mkdir(parents=True, exist_ok=True)
    splits = {name: _SplitWriter(folder, name, shard_bytes) for name in (TRAIN, VALIDATION)}
    try:
        for name, raw in documents:
            splits[name].add(raw)
        for split in splits.values():
            split.finish()
        _check_both_filled(splits, how)
    except BaseException:
        for split in splits.values():
            split.discard()
        raise
    for split in splits.values():
        split.publish()
    return CorpusSummary(splits[TRAIN].summary(), splits[VALIDATION].summary())


def link_corpus(folder: Path, train: Sequence[Path], validation: Path) -> CorpusSummary:
    """Let the corpus be shards that lie elsewhere, without copying them.

    The shards must stay where they are: a reader finds them by their links.
    """
    assert validation not in train, validation
    folder.mkdir(parents=True, exist_ok=True)
    for old in (p for name in (TRAIN, VALIDATION) for p in folder.glob(f"{name}_*.parquet")):
        old.unlink()
    summaries = {}
    for name, shards in ((TRAIN, train), (VALIDATION, [validation])):
        documents = size = 0
        for number, shard in enumerate(shards):
            with _open_parquet(shard) as file:
                meta = file.metadata
                column = file.schema_arrow.get_field_index(COLUMN)
                documents += meta.num_rows
                groups = (meta.row_group(n).column(column) for n in range(meta.num_row_groups))
                size += sum(group.total_uncompressed_size for group in groups)
            (folder / _file_name(name, number)).symlink_to(shard.resolve())
        summaries[name] = SplitSummary(documents, size, len(shards))
    return CorpusSummary(summaries[TRAIN], summaries[VALIDATION])


def read_documents(
    folder: Path, split: str, *, start: Position | None = None
) -> Iterator[tuple[Position, str]]:
    """Each document of the split with its position, from `start` on; row groups before it are not read."""
    files = corpus_files(folder, split)
    return _documents_from(files, start or Position())


def corpus_files(folder: Path, split: str) -> list[Path]:
    """The files of a split in order."""
    files = sorted(folder.glob(f"{split}_*.parquet"))
    if not files:
        raise Fault(f"`{folder}` has no `{split}_00000.parquet`", "make the corpus with the dataset stage")
    for number, path in enumerate(files):
        if path.name != _file_name(split, number):
            raise Fault(f"`{_file_name(split, number)}` is missing from `{folder}`", "make the corpus again")
    return files


def _file_name(split: str, number: int) -> str:
    return f"{split}_{number:05d}.parquet"


def _share(raw: bytes) -> float:
    """A number in [0, 1) that depends on the document alone, so its split never depends on its company."""
    return int.from_bytes(hashlib.sha256(raw).digest()[:6], "big") / 2**48


def _check_both_filled(splits: "dict[str, _SplitWriter]", how: str) -> None:
    documents = sum(split.documents for split in splits.values())
    if documents == 0:
        raise Fault(
            "the source gave no text", "look at what its path holds: documents of blanks do not count"
        )
    for name, split in splits.items():
        if split.documents == 0:
            raise Fault(
                f"of {documents} documents, none falls to the {name} split ({how})",
                "give more or shorter documents, or change the validation fraction",
            )


@define
class _SplitWriter:
    """Writes the files of one split under temporary names; `publish` gives them their own."""

    folder: Path
    name: str
    shard_bytes: int
    documents: int = 0
    text_bytes: int = 0
    _files: list[Path] = field(factory=list, init=False)
    _open: pq.ParquetWriter | None = field(default=None, init=False)
    _open_bytes: int = field(default=0, init=False)
    _pending: list[bytes] = field(factory=list, init=False)  # the row group in the making

    def add(self, raw: bytes) -> None:
        self._pending.append(raw)
        self.documents += 1
        self.text_bytes += len(raw)
        self._open_bytes += len(raw)
        if len(self._pending) == ROW_GROUP or self._open_bytes >= self.shard_bytes:
            self._write_row_group()
        if self._open_bytes >= self.shard_bytes:
            self._close()

    def finish(self) -> None:
        if self._pending:
            self._write_row_group()
        self._close()

    def publish(self) -> None:
        for path in set(self.folder.glob(f"{self.name}_*.parquet")) - set(self._files):
            path.unlink()  # of an earlier, larger corpus
        for path in self._files:
            atomic.publish(path)

    def discard(self) -> None:
        self._close()
        for path in self._files:
            atomic.temporary(path).unlink(missing_ok=True)

    def summary(self) -> SplitSummary:
        return SplitSummary(self.documents, self.text_bytes, len(self._files))

    def _write_row_group(self) -> None:
        self._open = self._open or self._next_file()
        texts = pa.array(self._pending, pa.binary()).cast(pa.string())
        self._open.write_table(pa.table([texts], schema=SCHEMA), row_group_size=ROW_GROUP)
        self._pending = []

    def _next_file(self) -> pq.ParquetWriter:
        path = self.folder / _file_name(self.name, len(self._files))
        self._files.append(path)
        return pq.ParquetWriter(atomic.temporary(path), SCHEMA, compression="zstd")

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._open_bytes = None, 0


def _documents_from(files: list[Path], start: Position) -> Iterator[tuple[Position, str]]:
    if start.file >= len(files):
        raise _ends_before(files[-1], start)
    for number in range(start.file, len(files)):
        first = start if number == start.file else Position(number)
        for row, text in _rows_from(files[number], first):
            yield Position(number, row), text


def _rows_from(path: Path, start: Position) -> Iterator[tuple[int, str]]:
    """Texts of one file with their rows, from the row of `start` on."""
    with _open_parquet(path) as file:
        if start.row > file.metadata.num_rows:
            raise _ends_before(path, start)
        first = 0  # row at which the row group starts
        for group in range(file.metadata.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            if start.row < end:
                texts = _texts(file, path, group)
                skipped = max(start.row - first, 0)
                for row, text in enumerate(texts[skipped:], first + skipped):
                    if text is None:
                        raise Fault(
                            f"document {row} of `{path}` holds no text, but null", "make the corpus again"
                        )
                    yield row, text
            first = end


def _texts(file: pq.ParquetFile, path: Path, group: int) -> list[str | None]:
    try:
        return file.read_row_group(group, columns=[COLUMN]).column(0).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: bytes that are no UTF-8, too
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        help = "copy it again, or make the corpus again"
        raise Fault(f"`{path}` is damaged in its row group {group}: {reason}", help) from None


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):
        help = "copy it again, or make the corpus again"
        raise Fault(f"`{path}` is not a whole parquet file: it may be cut off", help) from None
    there = file.schema_arrow
    if COLUMN not in there.names or there.field(COLUMN).type not in (pa.string(), pa.large_string()):
        raise Fault(f"`{path}` has no column `{COLUMN}` of text", "make the corpus with the dataset stage")
    return file


def _ends_before(path: Path, start: Position) -> Fault:
    return Fault(
        f"the corpus ends in `{path}`, before document {start.row} of file {start.file}",
        "go on with the corpus that the position is of",
    )
