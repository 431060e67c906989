"""Which code did the work: nanogen's version, and one hash over its Python source. Recorded, and never acted upon.

So two checkouts that made two results can be told apart. Knows nothing of Git: what is installed counts.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

HOME = Path(__file__).parents[1]  # of the packages
FOLDERS = ("nanogen", "runtime", "stages")


def code_version() -> dict[str, str]:
    """The facts for a manifest: `{"nanogen": "0.1", "source_sha256": "..."}`."""
    return {"nanogen": _installed(), "source_sha256": source_digest(HOME)}


@cache
def source_digest(home: Path) -> str:
    """One hash of every Python file of the packages below `home`: their names and their bytes."""
    found = hashlib.sha256()
    for path in sorted(p for folder in FOLDERS for p in (home / folder).rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(home).as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _installed() -> str:
    try:
        return metadata.version("nanogen")
    except metadata.PackageNotFoundError:
        return "a checkout that is not installed"
