"""Turn text into token ids and back: byte-level BPE, trained by rustbpe, applied by tiktoken, kept as JSON.

Knows nothing of conversations: it never reads a special token out of text, callers put their ids in.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attrs import frozen

from runtime import atomic
from runtime.faults import Fault
from runtime.pickles import refuse_pickle
from runtime.plain_json import read_json
from runtime.unicode import well_formed

if TYPE_CHECKING:
    import tiktoken

# Chunks that no merge crosses: contractions, words, numbers of one or two digits, punctuation, line ends, blanks.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)

# Their ids follow the mergeable ones, in this order; saved models depend on it.
SPECIAL = (
    "bos",
    "user_start",
    "user_end",
    "assistant_start",
    "assistant_end",
    "python_start",
    "python_end",
    "output_start",
    "output_end",
)

FORMAT = "byte-level bpe 1"
BYTES = 256  # the ids that every vocabulary starts from
SMALLEST = BYTES + len(SPECIAL)

# The pattern backtracks once a blank, and the regex engine gives up at about a million of them.
LONGEST_BLANK = 65_536
_LONG_BLANK = re.compile(rf"\s{{{LONGEST_BLANK}}}")


def text_form(name: str) -> str:
    """How a special token is written for people: `bos` is `<|bos|>`."""
    return f"<|{name}|>"


@frozen(slots=False)  # slots would leave no room for the cached properties
class Tokenizer:
    """A vocabulary: the bytes of every mergeable token in rank order, and the special tokens after them."""

    ranks: tuple[bytes, ...]
    pattern: str = PATTERN

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab: int) -> "Tokenizer":
        """Learn a vocabulary of exactly `vocab` ids, the special ones counted."""
        import rustbpe

        if vocab < SMALLEST:
            raise Fault(
                f"a vocabulary of {vocab} does not hold the {BYTES} bytes and {len(SPECIAL)} special tokens",
                f"use {SMALLEST} or more",
            )
        learner = rustbpe.Tokenizer()  # pyright: ignore[reportAttributeAccessIssue]  (it comes without stubs)
        pieces = (piece for text in texts for piece in digestible(well_formed(text)))
        learner.train_from_iterator(pieces, vocab - len(SPECIAL), pattern=PATTERN)
        by_rank = sorted(learner.get_mergeable_ranks(), key=lambda pair: pair[1])
        reached = len(by_rank) + len(SPECIAL)
        if reached < vocab:
            raise Fault(
                f"the text gives a vocabulary of {reached}, {vocab} asked for: no pairs are left to merge",
                f"train on more text, or ask for at most {reached}: `[set] vocab = {reached}`",
            )
        return cls(tuple(bytes(token) for token, _ in by_rank))

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        if not path.is_file():
            raise Fault(f"there is no tokenizer at `{path}`")
        refuse_pickle(path, "a tokenizer's JSON")
        try:
            content = read_json(path)
        except Fault as fault:
            raise _not_a_tokenizer(path, f"it is not JSON ({fault.message})") from None
        return _parse(content, path)

    def save(self, path: Path) -> None:
        atomic.write_bytes(path, self._content)

    @property
    def vocab(self) -> int:
        return len(self.ranks) + len(SPECIAL)

    @property
    def bos(self) -> int:
        """The id that opens every document."""
        return self.special["bos"]

    @cached_property
    def special(self) -> Mapping[str, int]:
        """Ids of the special tokens by short name, `bos`, and by text form, `<|bos|>`."""
        ids = {name: len(self.ranks) + place for place, name in enumerate(SPECIAL)}
        return MappingProxyType(ids | {text_form(name): number for name, number in ids.items()})

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone: no bos, and `<|bos|>` written in it is plain characters."""
        return [token for piece in digestible(text) for token in self._encoding.encode_ordinary(piece)]

    def encode_batch(self, texts: Sequence[str], *, threads: int = 2) -> list[list[int]]:
        """`encode` of each text, several at once."""
        if any(_has_long_blank(text) for text in texts):
            return [self.encode(text) for text in texts]
        return self._encoding.encode_ordinary_batch(list(texts), num_threads=threads)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; bytes that are no UTF-8, as when a character is cut in two, become U+FFFD."""
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return self._encoding.decode_bytes(ids)

    def token_bytes(self) -> list[int]:
        """Bytes of text behind each id, for bits per byte; a special token stands for none."""
        return [len(token) for token in self.ranks] + [0] * len(SPECIAL)

    @cached_property
    def digest(self) -> str:
        """What tells two tokenizers apart: the SHA-256 of the saved file."""
        return hashlib.sha256(self._content).hexdigest()

    @cached_property
    def _content(self) -> bytes:
        content = {
            "format": FORMAT,
            "pattern": self.pattern,
            "special": _special_by_text(len(self.ranks)),
            "ranks": [token.hex() for token in self.ranks],
        }
        return (json.dumps(content, indent=1) + "\n").encode()

    @cached_property
    def _encoding(self) -> "tiktoken.Encoding":
        import tiktoken

        return tiktoken.Encoding(
            "runtime",
            pat_str=self.pattern,
            mergeable_ranks={token: rank for rank, token in enumerate(self.ranks)},
            special_tokens=_special_by_text(len(self.ranks)),
        )


def _special_by_text(first: int) -> dict[str, int]:
    return {text_form(name): first + place for place, name in enumerate(SPECIAL)}


def _has_long_blank(text: str) -> bool:
    return len(text) >= LONGEST_BLANK and _LONG_BLANK.search(text) is not None


def digestible(text: str) -> Iterator[str]:
    """Cut the text within its enormous runs of blanks, if it has any; the pieces joined are the text."""
    start = 0
    if _has_long_blank(text):
        for run in _LONG_BLANK.finditer(text):
            yield text[start : run.end()]
            start = run.end()
    yield text[start:]


def _parse(content: Any, path: Path) -> Tokenizer:
    """Trust nothing of a file that may have been edited, copied in part, or meant for something else."""
    if not isinstance(content, dict) or set(content) != {"format", "pattern", "special", "ranks"}:
        raise _not_a_tokenizer(path, "its keys are not `format`, `pattern`, `special` and `ranks`")
    if content["format"] != FORMAT:
        raise _not_a_tokenizer(path, f"its format is not `{FORMAT}`")
    ranks = _parse_ranks(content["ranks"], path)
    if content["special"] != _special_by_text(len(ranks)):
        raise _not_a_tokenizer(path, "its special tokens are not the nine, in order, after the ranks")
    if not isinstance(content["pattern"], str):
        raise _not_a_tokenizer(path, "its pattern is not a string")
    tokenizer = Tokenizer(ranks, content["pattern"])
    try:
        _ = tokenizer._encoding
    except ValueError:
        raise _not_a_tokenizer(path, "its pattern is not a regular expression") from None
    return tokenizer


def _parse_ranks(ranks: Any, path: Path) -> tuple[bytes, ...]:
    try:
        tokens = tuple(bytes.fromhex(token) for token in ranks)
    except (TypeError, ValueError):
        raise _not_a_tokenizer(path, "its ranks are not a list of hexadecimal strings") from None
    if len(set(tokens)) < len(tokens):
        raise _not_a_tokenizer(path, "two of its ranks are the same")
    if {token for token in tokens if len(token) == 1} != {bytes([value]) for value in range(BYTES)}:
        raise _not_a_tokenizer(path, f"its ranks do not hold the {BYTES} single bytes")
    if b"" in tokens:
        raise _not_a_tokenizer(path, "one of its ranks is empty")
    return tokens


def _not_a_tokenizer(path: Path, reason: str) -> Fault:
    return Fault(
        f"`{path}` is not a tokenizer: {reason}", "train the tokenizer again, or copy the file again"
    )
