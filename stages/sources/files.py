"""Find the files that a setting names, and tell them apart. Knows nothing of what is in them."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from runtime.faults import Fault

WHOLE = 256 * 2**20  # bytes; of a larger file the two ends of half this size stand for the whole


def find_files(paths: Iterable[Path], suffixes: Sequence[str]) -> list[Path]:
    """The files among `paths`, and those in its folders that end in one of `suffixes`, sorted by name."""
    kinds = " or ".join(f"`{suffix}`" for suffix in suffixes)
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix in suffixes and file.is_file())
            if not inside:
                raise Fault(f"`{path}` has no file that ends in {kinds}", "name a folder that has some")
            found += inside
        elif not path.is_file():
            raise Fault(f"there is no file `{path}`", "check the path; it counts from the run file")
        elif path.suffix not in suffixes:
            raise Fault(
                f"`{path}` does not end in {kinds}", f"name a file of that kind, or a folder of them: {kinds}"
            )
        else:
            found.append(path)
    return found


def file_facts(path: Path) -> tuple[int, str]:
    """Size and hash of a file."""
    stat = path.stat()
    return stat.st_size, _hash(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@cache  # a start asks for it more than once
def _hash(path: Path, size: int, changed: int, number: int) -> str:
    with path.open("rb") as file:
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        found = hashlib.sha256(file.read(WHOLE // 2))
        file.seek(size - WHOLE // 2)
        found.update(file.read())
    return found.hexdigest()
