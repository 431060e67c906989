"""What was fetched, beside the data: for each data set its source, commit, and each file's size and hash.

Knows nothing of how files come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from attrs import define, field

from runtime.atomic import write_bytes
from runtime.manifest import to_json
from stages.data.transfer import Fact

FOLDER = "fetched"  # below the folder of data
FORMAT = 1


@define
class Records:
    """The records of one folder of data."""

    top: Path
    _found: dict[str, dict[str, Any]] = field(factory=dict, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def of(self, name: str) -> dict[str, Any]:
        if name not in self._found:
            self._found[name] = _read(self.top / FOLDER / f"{name}.json")
        return self._found[name]

    def fact(self, name: str, file: str) -> Fact | None:
        """What is recorded of a file, named below the folder of data."""
        found = self.of(name)["files"].get(file)
        return Fact(found["bytes"], found["sha256"]) if found else None

    def revision(self, name: str) -> str | None:
        return self.of(name).get("revision")

    def add(self, name: str, source: str, revision: str | None, files: dict[str, Fact]) -> None:
        """Write down files of a data set; on disk when it returns."""
        with self._lock:
            record = self.of(name)
            facts = {file: {"bytes": f.size, "sha256": f.sha256} for file, f in files.items()}
            listed = dict(sorted({**record["files"], **facts}.items()))
            record = {"format": FORMAT, "source": source, "revision": revision, "files": listed}
            path = self.top / FOLDER / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, to_json(record))
            self._found[name] = record

    def everything(self) -> Iterator[tuple[str, str, Fact]]:
        """Every data set, file and fact that is recorded."""
        for path in sorted((self.top / FOLDER).glob("*.json")):
            for file in self.of(path.stem)["files"]:
                fact = self.fact(path.stem, file)
                assert fact is not None
                yield path.stem, file, fact


def _read(path: Path) -> dict[str, Any]:
    """A record that cannot be read counts for none: its files are then told by themselves."""
    empty = {"files": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        files = found["files"].values()
        whole = found["format"] == FORMAT and all(
            isinstance(f["bytes"], int) and isinstance(f["sha256"], str) for f in files
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return empty
    return found if whole else empty


@contextmanager
def alone(top: Path, wait: Any) -> Iterator[None]:
    """One process at a time fetches into a folder; `wait` is called where another one is at it."""
    (top / FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock
        yield
        return
    with (top / FOLDER / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
