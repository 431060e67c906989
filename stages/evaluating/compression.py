"""What an encoding makes of texts: tokens, how much text is in one, which ids occur, and how fast that goes.

Knows nothing of where texts and encodings come from, nor how figures are shown.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

Result = dict[str, Any]  # plain JSON

# Letters of scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters.
_UNPARTED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)
UNPARTED = 0.1  # share of a text's letters from which on its words cannot be counted
LETTERS = 0.5  # share of letters below which a text is not made of words: numbers, formulas


@frozen
class Text:
    """Text of one kind, document by document."""

    name: str
    documents: tuple[str, ...]

    def facts(self) -> Result:
        """How much it is; `words` is None where the text is not made of words between blanks."""
        return {
            "text": self.name,
            "bytes": self.bytes,
            "characters": sum(map(len, self.documents)),
            "words": self._words(),
        }

    @property
    def bytes(self) -> int:
        return sum(len(document.encode()) for document in self.documents)

    def _words(self) -> int | None:
        pieces = [piece for document in self.documents for piece in document.split()]
        letters = [sum(map(str.isalpha, piece)) for piece in pieces]
        unparted = sum(len(_UNPARTED.findall(document)) for document in self.documents)
        if sum(letters) < LETTERS * sum(map(len, pieces)) or unparted > UNPARTED * sum(letters):
            return None
        return sum(map(bool, letters))


@frozen
class Encoding:
    """Text to ids, and ids to the bytes of text."""

    name: str
    vocab: int
    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], bytes]


def measure(encoding: Encoding, texts: Sequence[Text]) -> Result:
    """The figures of an encoding on each text, and its speed on all; every text must come back as it was."""
    encoding.encode("")  # what it makes at its first use is no part of its speed
    figures, seconds = [], 0.0
    for text in texts:
        started = time.perf_counter()
        ids = [encoding.encode(document) for document in text.documents]
        seconds += time.perf_counter() - started
        for document, found in zip(text.documents, ids, strict=True):
            assert encoding.decode(found) == document.encode(), (
                f"{encoding.name} does not give {text.name} back"
            )
        figures.append(_figures(encoding, text, Counter(token for found in ids for token in found)))
    size = sum(text.bytes for text in texts)
    return {
        "encoding": encoding.name,
        "vocab": encoding.vocab,
        "seconds": round(seconds, 3),
        "bytes_per_second": round(size / max(seconds, 1e-9)),
        "texts": figures,
    }


def not_run(name: str, reason: str) -> Result:
    return {"encoding": name, "not_run": reason}


def _figures(encoding: Encoding, text: Text, counts: Counter[int]) -> Result:
    facts, tokens = text.facts(), counts.total()
    single = sum(count for token, count in counts.items() if len(encoding.decode([token])) == 1)
    return {
        "text": text.name,
        "tokens": tokens,
        "bytes_per_token": facts["bytes"] / tokens,
        "characters_per_token": facts["characters"] / tokens,
        "words_per_token": None if facts["words"] is None else facts["words"] / tokens,
        "ids_share": len(counts) / encoding.vocab,  # of the vocabulary, that occur
        "single_byte_share": single / tokens,  # of the tokens
    }
