"""Read what a model writes: ids to parts, piece by piece, as the special tokens divide them. Runs no tool."""

from __future__ import annotations

from runtime.chat.message import Kind, Part
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
