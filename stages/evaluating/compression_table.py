"""The figures of encodings as tables: bytes a token by kind of text, ours beside others; and what else is known of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nanogen.views.figures import columns

Result = dict[str, Any]  # what `tokenizer_eval` leaves
MEANING = "in %: how much more text a token of ours holds than one of the other"


def against(result: Result) -> str:
    """Bytes a token of every text, ours and of every other that was run, with how ours differs from it."""
    ours, *others = ran(result)
    rows: list[Any] = [("bytes a token", "bytes", "ours", *(other["encoding"] for other in others))]
    for place, text in enumerate(result["texts"]):
        rate = ours["texts"][place]["bytes_per_token"]
        theirs = [other["texts"][place]["bytes_per_token"] for other in others]
        cells = [f"{other:.2f} {_change(rate / other)}" for other in theirs]
        rows.append((text["text"], f"{text['bytes']:,}", f"{rate:.2f}", *cells))
    return columns(rows)


def _change(ratio: float) -> str:
    return f"{ratio - 1:+.1%}".rjust(7)  # from -99.9% to +999.9%, so that columns stand


def ours(result: Result) -> str:
    """All that was measured of this run's tokenizer."""
    rows: list[Any] = [
        ("ours", "tokens", "characters a token", "words a token", "ids that occur", "tokens of one byte")
    ]
    for text, found in zip(result["texts"], result["encodings"][0]["texts"], strict=True):
        words = found["words_per_token"]
        rows.append(
            (
                text["text"],
                f"{found['tokens']:,}",
                f"{found['characters_per_token']:.2f}",
                "-" if words is None else f"{words:.2f}",
                f"{found['ids_share']:.1%}",
                f"{found['single_byte_share']:.1%}",
            )
        )
    return columns(rows)


def ran(result: Result) -> list[Result]:
    """The encodings that were measured; the first is this run's."""
    return [found for found in result["encodings"] if "not_run" not in found]


def missing(result: Result) -> list[tuple[str, str]]:
    """The encodings that were not, with why."""
    return [
        (found["encoding"], f"not run: {found['not_run']}")
        for found in result["encodings"]
        if "not_run" in found
    ]


def ids(result: Result) -> str:
    """`65,536; gpt2 50,257`."""
    return _beside(result, lambda found: f"{found['vocab']:,}", "")


def speed(result: Result) -> str:
    """`9.1 MB a second on one thread; gpt2 8.2`."""
    return _beside(
        result, lambda found: f"{found['bytes_per_second'] / 1e6:.1f}", " MB a second on one thread"
    )


def _beside(result: Result, told: Callable[[Result], str], unit: str) -> str:
    """A figure of ours, and behind it the same of the others."""
    first, *others = ran(result)
    return "; ".join([told(first) + unit, *(f"{other['encoding']} {told(other)}" for other in others)])
