"""`tokenizer`: a corpus -> `tokenizer.json`, a byte-level BPE with the nine special tokens of chats.

Trained on the training split alone. Its size is the model's `vocab` unless the run says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from nanogen.structure import Count
from runtime.faults import Fault
from runtime.tokenizer import SMALLEST
from stages.choices import positive, setting
from stages.sources.limit import limited

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.runfile.rehearsal import Small
    from stages.work import Work

READS = ("dataset",)
VERSION = 1
MODEL = True
SEED = False
MEASURED = 2_000_000  # characters of the validation split that compression is measured on


@frozen
class Settings:
    vocab: int | None = setting("ids, special tokens included; unsaid, the model's", default=None)
    characters: Count = setting(
        "how much text to learn from at most", default=Count(2_000_000_000), validator=positive
    )
    document_characters: Count = setting(
        "how much of each document to learn from at most", default=Count(10_000), validator=positive
    )


def of_model(compiled: Compiled) -> int:
    return compiled.graph.vocab


def check(settings: Settings, compiled: Compiled) -> None:
    if compiled.graph.vocab < SMALLEST:
        message = f"`vocab` is {compiled.graph.vocab:,}, and a tokenizer has at least {SMALLEST} ids"
        raise Fault(
            message, f"`[set] vocab = {SMALLEST}`, or more: 256 bytes and the special tokens of chats"
        )
    if settings.vocab not in (None, compiled.graph.vocab):
        message = f"`vocab` is {settings.vocab:,} here, and {compiled.graph.vocab:,} in the model"
        raise Fault(message, "leave it out of the stage, or `[set]` the model's")


def rehearsal(settings: Settings, small: Small) -> Settings:
    return evolve(settings, characters=min(settings.characters, small.characters))


def run(work: Work) -> None:
    from runtime.tokenizer import Tokenizer

    settings, vocab = work.settings, work.model.graph.vocab
    corpus = work.input("dataset").folder
    tokenizer = Tokenizer.train(_texts(corpus, "train", settings), vocab=vocab)
    tokenizer.save(work.folder / "tokenizer.json")
    texts = list(limited(_texts(corpus, "validation", settings), MEASURED))
    size = sum(len(text.encode()) for text in texts)
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    work.tell.line(f"{vocab:,} ids, {size / tokens:.2f} bytes a token on the validation split")
    work.finish({"vocab": vocab, "bytes_per_token": size / tokens, "digest": tokenizer.digest})


def _texts(corpus: Path, split: str, settings: Settings) -> Iterator[str]:
    from runtime.corpus import read_documents

    texts = (text[: settings.document_characters] for _, text in read_documents(corpus, split))
    return limited(texts, settings.characters)
