"""Documents out of plain text files, one a file, long files in parts. Knows nothing of markup."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.faults import Fault
from stages.sources.files import find_files
from stages.sources.unique import unique

SUFFIXES = (".txt", ".md")
LONGEST = 10_000  # characters; a row of training takes the head of a document and may drop the rest

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def documents(paths: Iterable[Path], *, longest: int = LONGEST) -> Iterator[str]:
    """The files, and the `.txt` and `.md` files of the folders; longer ones cut where a line is blank."""
    files = find_files(paths, SUFFIXES)
    return unique(part for path in files for part in split_at_blank_lines(_read(path), longest))


def split_at_blank_lines(text: str, longest: int) -> Iterator[str]:
    """Parts of up to `longest` characters; a single paragraph that is longer stays whole."""
    part: list[str] = []
    room = longest
    for paragraph in _BLANK_LINES.split(text):
        if part and len(paragraph) > room:
            yield "\n\n".join(part)
            part, room = [], longest
        part.append(paragraph)
        room -= len(paragraph) + 2  # the blank line
    yield "\n\n".join(part)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"`{path}` is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
