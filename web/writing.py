"""Turn the tokens of one sample into what a client is shown of it, and hold back what may be a stop string.

Knows nothing of engines, nor of how answers are sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from attrs import frozen

from runtime.chat.message import Kind, Part
from runtime.chat.reader import FOLLOWS, Reader
from runtime.chat.text_stream import StopText
from runtime.decoding.request import Token
from runtime.tokenizer import Tokenizer


@frozen
class Scored:
    """A token of the text with its log-probability, and where its text begins."""

    token: Token
    offset: int  # in characters of the sample's text


@frozen
class Piece:
    """What is newly shown of a sample; nothing while a character or a stop string is undecided."""

    parts: tuple[Part, ...] = ()
    scored: tuple[Scored, ...] = ()


class Writing:
    """A sample as it is written.

    Log-probabilities are told of the drawn tokens of the text: a tool call and its answer have none. They come
    with the first character that they brought, and so those of a stop string never come.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self.tokens = 0
        self._reader, self._stop = Reader(tokenizer), StopText(stops)
        self._special = frozenset(tokenizer.special.values())
        self._follows: dict[int, Kind] = {tokenizer.special[name]: kind for name, kind in FOLLOWS.items()}
        self._kind: Kind = "text"
        self._read = self._shown = 0  # characters of text
        self._scored: deque[Scored] = deque()  # of which nothing is shown yet

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met: nothing more is shown then."""
        return self._stop.stopped

    def feed(self, token: Token) -> Piece:
        self.tokens += 1
        self._kind = self._follows.get(token.id, self._kind)
        if token.logprob is not None and self._kind == "text" and token.id not in self._special:
            self._scored.append(Scored(token, self._read))
        return self._piece(self._show(self._reader.feed(token.id)))

    def end(self) -> Piece:
        """What was held back, now that nothing follows."""
        return self._piece([*self._show(self._reader.end()), *self._rest()])

    def _show(self, parts: Iterable[Part]) -> Iterable[Part]:
        for part in parts:
            if part.kind == "text":
                self._read += len(part.text)
                yield from self._text(self._stop.feed(part.text)[0])
                continue
            yield from self._rest()  # no stop string reaches across a tool call
            if not self.stopped:
                yield part

    def _rest(self) -> Iterable[Part]:
        return self._text(self._stop.end())

    def _text(self, text: str) -> list[Part]:
        self._shown += len(text)
        return [Part("text", text)] if text else []

    def _piece(self, parts: Iterable[Part]) -> Piece:
        found = tuple(parts)
        scored = []
        while self._scored and self._scored[0].offset < self._shown:
            scored.append(self._scored.popleft())
        return Piece(found, tuple(scored))
