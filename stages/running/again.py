"""Which stages `--from` has done again so far: the same command, given once more after a stop, goes on and not from there.

Kept in the run's folder until the command comes to its end.
"""

from __future__ import annotations

import json
from pathlib import Path

from attrs import evolve

from runtime.atomic import write_bytes
from runtime.manifest import to_json
from stages.running.choice import Choice

NAME = ".again.json"


def less_done(choice: Choice, folder: Path) -> Choice:
    """The choice without what an earlier start of the same command has done again."""
    if choice.begin is None:
        forget(folder)
        return choice
    return evolve(choice, again=choice.again - set(_done(folder, choice.begin)))


def note_done(choice: Choice, folder: Path, name: str) -> None:
    """A stage has been done again."""
    if choice.begin is not None:
        done = [*_done(folder, choice.begin), name]
        write_bytes(folder / NAME, to_json({"from": choice.begin, "done": done}))


def forget(folder: Path) -> None:
    """The command has come to its end, or is another one."""
    (folder / NAME).unlink(missing_ok=True)


def _done(folder: Path, begin: str) -> list[str]:
    try:
        found = json.loads((folder / NAME).read_text())
        return [str(name) for name in found["done"]] if found["from"] == begin else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
