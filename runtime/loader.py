"""Turn a corpus into batches for training, and go on from any of them as if nothing had happened.

Documents are read in order, encoded, opened with bos, and packed best-fit into rows; the targets are the
inputs one token later. Knows nothing of models, devices or conversations.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from runtime.batches import IGNORED, Batch
from runtime.corpus import TRAIN, VALIDATION, Position, corpus_files, read_documents
from runtime.faults import Fault
from runtime.packing import UNKNOWN, BestFit, Source
from runtime.streams import seed_of
from runtime.tokenizer import Tokenizer

BUFFER = 1000  # documents to choose the best fit from
ENCODED_AT_ONCE = 128  # documents
THREADS = 4

Opened = tuple[Source, list[int]]  # the file and row of a document, and its ids or a part of them

# R rows of a batch, T tokens


class Loader:
    """Batches without end: after the last document comes the first one again."""

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        *,
        rows: int,
        length: int,
        split: str = TRAIN,
        cut_long: bool = False,
        buffer: int = BUFFER,
        threads: int = THREADS,
    ) -> None:
        """`cut_long` keeps all of a document that is longer than a row, where packing would drop its rest."""
        self._rows, self._length, self._bos, self._buffer = rows, length, tokenizer.bos, buffer
        longest = length if cut_long else None
        self._documents = _Documents(folder, split, tokenizer, longest=longest, threads=threads)
        self._packing = BestFit(length + 1)  # one more, since the last input has a target too
        self._sources: list[list[Source]] = []

    @property
    def epoch(self) -> int:
        """How often the split has been read to its end; the buffer trails behind by its documents."""
        return self._documents.epoch

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        rows, self._sources = [], []
        for _ in range(self._rows):
            rows.append(self._packing.next_row(self._refill))
            self._sources.append(self._packing.taken)
        return _batch(rows, self._length, self._bos)

    def sources(self) -> list[list[Source]]:
        """Where the documents of each row of the last batch stand: file and row of the split."""
        return self._sources

    def names(self, sources: Sequence[Source]) -> list[str]:
        """The same in words."""
        return self._documents.names(sources)

    def _refill(self) -> None:
        while len(self._packing) < self._buffer:
            documents = self._documents.read()
            if not documents:
                self._documents.rewind()
            for source, document in documents:
                self._packing.add(document, source)

    def state(self) -> dict[str, np.ndarray]:
        """All that the coming batches depend on besides corpus and tokenizer; free of the number of rows."""
        return self.told()()

    def told(self) -> Callable[[], dict[str, np.ndarray]]:
        """The state as it is now, for whoever may ask for it later."""
        packing, cursor = self._packing.told(), self._documents.cursor()
        return lambda: packing() | {"cursor": cursor}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._packing.restore(state)
        self._documents.seek(state["cursor"])


def validation_batches(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    rows: int,
    length: int,
    batches: int | None = None,
    split: str = VALIDATION,
    cut_long: bool = False,
    buffer: int = BUFFER,
    threads: int = THREADS,
) -> Iterator[Batch]:
    """The same batches each time: the split once through, or the first `batches` of that.

    What the last documents leave empty is bos with the target -1.
    """
    longest = length if cut_long else None
    documents = _Documents(folder, split, tokenizer, longest=longest, threads=threads)
    packing = BestFit(length + 1)

    def refill() -> None:
        while len(packing) < buffer and (found := documents.read()):
            for source, document in found:
                packing.add(document, source)

    refill()
    if not packing:
        raise documents.nothing_to_read()
    while packing and batches != 0:
        made = [packing.next_row(refill) for _ in range(rows)]
        yield _batch(made, length, tokenizer.bos)
        batches = None if batches is None else batches - 1


class _Documents:
    """The documents of a split as token ids, bos first, a handful at a time.

    One process reads all of them. Of several, each would keep every `world`-th handful from `rank` on,
    which is decided in `read` and nowhere else: cursors count documents of the corpus, not of the rank.
    """

    def __init__(
        self, folder: Path, split: str, tokenizer: Tokenizer, *, longest: int | None, threads: int
    ) -> None:
        corpus_files(folder, split)  # a corpus that is not there is a fault now, not at the first batch
        self.epoch = 0
        self._folder, self._split, self._tokenizer = folder, split, tokenizer
        self._longest, self._threads = longest, threads
        self._start_at(Position())

    def read(self) -> list[Opened]:
        """The next documents that hold any text; none once the split has been read to its end."""
        while found := list(islice(self._reader, ENCODED_AT_ONCE)):
            encoded = self._encoded(found)
            self._next = found[-1][0].after
            pairs = zip(found, encoded, strict=True)
            documents = [((at.file, at.row), part) for (at, _), ids in pairs for part in self._opened(ids)]
            if documents:
                self._any = True
                return self._mixed(documents)
        return []

    def _encoded(self, found: list[tuple[Position, str]]) -> list[list[int]]:
        """Ids of some documents; whatever stops a thread that encodes them becomes one fault with their place."""
        try:
            return self._tokenizer.encode_batch([text for _, text in found], threads=self._threads)
        except Fault:
            raise
        except Exception as error:
            where = ", ".join(self.names([(at.file, at.row) for at in self._culprits(found)]))
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise Fault(
                f"the text of {where} cannot be encoded: {reason}",
                "look at these documents; make the corpus again",
            ) from error

    def _culprits(self, found: list[tuple[Position, str]]) -> list[Position]:
        """The first document that cannot be encoded by itself; where each can, the first of all."""
        for at, text in found:
            try:
                self._tokenizer.encode(text)
            except Exception:
                return [at]
        return [found[0][0]]

    def names(self, sources: Sequence[Source]) -> list[str]:
        """Documents in words, those of one file together."""
        files = corpus_files(self._folder, self._split)
        rows: dict[int, list[int]] = {}
        for file, row in dict.fromkeys(sources):
            rows.setdefault(file, []).append(row)
        return [
            "documents that an older save held" if file == UNKNOWN[0] else _rows_text(files[file].name, found)
            for file, found in rows.items()
        ]

    def _mixed(self, documents: list[Opened]) -> list[Opened]:
        """Where documents are cut, the parts of one are kept from filling a batch together.

        The order depends on the place in the corpus alone, so it is the same after a resume.
        """
        if self._longest is not None:
            random.Random(seed_of(self.epoch, "parts", *self._place)).shuffle(documents)
        return documents

    @property
    def _place(self) -> tuple[int, int]:
        return self._next.file, self._next.row

    def _opened(self, ids: list[int]) -> list[list[int]]:
        """The document with bos before it, or before each part of it; nothing if it has no tokens."""
        step = self._longest or max(len(ids), 1)
        return [[self._tokenizer.bos, *ids[start : start + step]] for start in range(0, len(ids), step)]

    def rewind(self) -> None:
        """Start the next epoch."""
        if not self._any:
            raise self.nothing_to_read()
        self.epoch += 1
        self._start_at(Position())

    def cursor(self) -> np.ndarray:
        return np.array([self.epoch, self._next.file, self._next.row], dtype=np.int64)

    def seek(self, cursor: np.ndarray) -> None:
        self.epoch, file, row = (int(number) for number in cursor)
        self._start_at(Position(file, row))

    def nothing_to_read(self) -> Fault:
        return Fault(
            f"the {self._split} split of `{self._folder}` holds no text",
            "make the corpus from documents with text",
        )

    def _start_at(self, position: Position) -> None:
        self._next = position
        self._reader = read_documents(self._folder, self._split, start=position)
        # Whether this epoch gave any text; benefit of the doubt for one that starts in the middle.
        self._any = position != Position()


def _rows_text(file: str, rows: list[int]) -> str:
    return f"`{file}` row{'s' if len(rows) > 1 else ''} {', '.join(f'{row:,}' for row in sorted(rows))}"


def _batch(rows: list[np.ndarray], length: int, bos: int) -> Batch:
    """Rows of up to `length + 1` ids as inputs and the tokens that follow them."""
    inputs_RT = torch.full((len(rows), length), bos, dtype=torch.int64)
    targets_RT = torch.full((len(rows), length), IGNORED, dtype=torch.int64)
    for place, row in enumerate(rows):
        ids = torch.from_numpy(row)
        inputs_RT[place, : len(row[:length])] = ids[:length]
        targets_RT[place, : len(row[1:])] = ids[1:]
    return inputs_RT, targets_RT
