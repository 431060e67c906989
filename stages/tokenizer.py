"""`tokenizer`: a corpus -> `tokenizer.json`, a byte-level BPE with the nine special tokens of chats.

Trained on the training split alone. Its size is the model's `vocab` unless the run says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from nanogen.structure import Count
from runtime.faults import Fault
from stages.choices import positive

if TYPE_CHECKING:
    from stages.work import Work

READS = ("dataset",)
VERSION = 1
MODEL = True
MEASURED = 2_000_000  # characters of the validation split that compression is measured on


@frozen
class Settings:
    vocab: int | None = None  # with the special tokens; unsaid, the model's
    characters: Count = field(default=Count(2_000_000_000), validator=positive)
    document_characters: Count = field(default=Count(10_000), validator=positive)  # of each document


def run(work: Work) -> None:
    from runtime.tokenizer import Tokenizer

    settings: Settings = work.settings
    vocab = settings.vocab or work.model.graph.vocab
    if vocab != work.model.graph.vocab:
        message = f"the tokenizer has {vocab:,} ids and the model's `vocab` is {work.model.graph.vocab:,}"
        raise Fault(message, "leave `vocab` out of the stage, or `[set]` the model's")
    corpus = work.input("dataset").folder
    tokenizer = Tokenizer.train(_texts(corpus, "train", settings), vocab=vocab)
    tokenizer.save(work.folder / "tokenizer.json")
    texts = list(_limited(_texts(corpus, "validation", settings), MEASURED))
    size = sum(len(text.encode()) for text in texts)
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    work.tell.line(f"{vocab:,} ids, {size / tokens:.2f} bytes a token on the validation split")
    work.finish({"vocab": vocab, "bytes_per_token": size / tokens, "digest": tokenizer.digest})


def _texts(corpus: Path, split: str, settings: Settings) -> Iterator[str]:
    from runtime.corpus import read_documents

    texts = (text[: settings.document_characters] for _, text in read_documents(corpus, split))
    return _limited(texts, settings.characters)


def _limited(texts: Iterator[str], characters: int) -> Iterator[str]:
    given = 0
    for text in texts:
        if given >= characters:
            return
        given += len(text)
        yield text
