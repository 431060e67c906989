"""Read what a model writes: ids to parts, piece by piece, as the special tokens divide them. Runs no tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runtime.chat.message import Kind, Message, Part
from runtime.chat.text_stream import TextStream
from runtime.tokenizer import Tokenizer

FOLLOWS: dict[str, Kind] = {  # what comes after a special token; after any other, what was before
    "python_start": "python",
    "python_end": "text",
    "output_start": "output",
    "output_end": "text",
}


class Reader:
    """Ids of one sample to pieces of its parts; neighbours of one kind belong together. Begins in text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._special = frozenset(tokenizer.special.values())
        self._follows: dict[int, Kind] = {tokenizer.special[name]: kind for name, kind in FOLLOWS.items()}
        self._stream = TextStream(tokenizer)
        self._kind: Kind = "text"

    def feed(self, id: int) -> list[Part]:
        if id not in self._special:
            return self._parts(self._stream.feed(id))
        ended = self.end()
        self._kind = self._follows.get(id, self._kind)
        return ended

    def end(self) -> list[Part]:
        """What is left of a character that was cut off."""
        return self._parts(self._stream.end())

    def _parts(self, text: str) -> list[Part]:
        return [Part(self._kind, text)] if text else []


def read_message(ids: Sequence[int], tokenizer: Tokenizer) -> Message:
    """What an assistant wrote, whole."""
    reader = Reader(tokenizer)
    pieces = [part for id in ids for part in reader.feed(id)]
    return Message("assistant", tuple(joined([*pieces, *reader.end()])))


def joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Pieces to whole parts: neighbours of one kind belong together."""
    whole: Part | None = None
    for part in parts:
        if whole is not None and part.kind == whole.kind:
            whole = Part(part.kind, whole.text + part.text)
            continue
        if whole is not None:
            yield whole
        whole = part
    if whole is not None:
        yield whole
