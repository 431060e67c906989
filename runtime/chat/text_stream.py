"""Text as it may be shown while tokens still come: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from runtime.tokenizer import Tokenizer


class TextStream:
    """Ids to text, piece by piece; all pieces and the end joined are `Tokenizer.decode` of all ids.

    A character whose last bytes are still to come waits, three bytes of it at most.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, id: int) -> str:
        return self._decoder.decode(self._tokenizer.decode_bytes([id]))

    def end(self) -> str:
        """U+FFFD for a character that was cut off, or nothing; the stream is as new then."""
        return self._decoder.decode(b"", final=True)


class StopText:
    """Text up to the first place where a stop string begins, however the text is cut into pieces.

    What may be the begin of a stop string waits until it is known to be none.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._waiting = ""
        self.stopped = False

    def feed(self, text: str) -> tuple[str, bool]:
        """What may be shown, and whether a stop string was met: then nothing more will be."""
        if self.stopped:
            return "", True
        text = self._waiting + text
        found, doubtful = self._first(text), self._doubtful(text)
        self.stopped = found <= doubtful and found < len(text)
        shown = min(found, doubtful)
        self._waiting = text[shown:]
        return text[:shown], self.stopped

    def end(self) -> str:
        """What waited, now that nothing follows. A shorter stop string in it still counts: see `stopped`."""
        text, self._waiting = self._waiting, ""
        found = self._first(text)
        self.stopped = self.stopped or found < len(text)
        return text[:found]

    def _first(self, text: str) -> int:
        """Where the first stop string begins; the length of the text if there is none."""
        return min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=len(text))

    def _doubtful(self, text: str) -> int:
        """Where the text ends in what may be the begin of a stop string; its length if it does not."""
        for at in range(max(0, len(text) - self._longest + 1), len(text)):
            if any(stop.startswith(text[at:]) for stop in self._stops):
                return at
        return len(text)
