"""Take as much text as was asked for. Knows nothing of where it comes from."""

from collections.abc import Iterator


def limited(texts: Iterator[str], characters: int | None) -> Iterator[str]:
    """The texts up to the one that brings their characters to the limit, whole; all where there is none."""
    given = 0
    for text in texts:
        if characters is not None and given >= characters:
            return
        given += len(text)
        yield text
