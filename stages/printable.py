"""Text that is safe to print. Knows nothing of where it comes from."""

from __future__ import annotations


def printable(text: str) -> str:
    """A model may write anything: control characters would reach a terminal as commands."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
