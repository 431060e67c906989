"""What an unfinished stage has found so far, line by line in a file, so that a cut-off one does not find it again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import field, frozen


@frozen
class Kept:
    """Results by name, as JSON lines; of a line that was cut off nothing is kept."""

    path: Path
    _found: dict[str, Any] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for line in lines[:-1]:  # what follows the last line end is nothing, or was cut off
            self._found.update(json.loads(line))
        if lines and lines[-1]:
            self.path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """The result of that name; found now, and kept, unless it was before."""
        if name not in self._found:
            self._found[name] = find()
            with self.path.open("ab") as file:
                file.write(json.dumps({name: self._found[name]}).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return self._found[name]
