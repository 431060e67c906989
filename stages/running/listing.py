"""What stands of a run as a table for people: states with their reasons, sizes, times, and what a command would do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attrs import frozen

from nanogen.views.figures import bytes_text, seconds_text
from stages.running.choice import EVERYTHING, Choice
from stages.running.survey import ASIDE, DONE, INTERRUPTED, MISSING, STALE, Found, size_of

WOULD = {
    DONE: "skip",
    INTERRUPTED: "go on",
    STALE: "do again",
    ASIDE: "bring back",
    MISSING: "do",
}


@frozen
class Row:
    """A stage as people see it. `why` are the reasons of its state, a line each."""

    name: str
    kind: str
    state: str
    size: str
    time: str
    finished: str
    action: str
    why: tuple[str, ...]


def rows(stages: Sequence[Found], *, at_work: bool = False) -> list[Row]:
    """A row a stage; `at_work`: another process is doing what is not done."""
    return [_row(found, at_work) for found in stages]


def _row(found: Found, at_work: bool) -> Row:
    manifest = found.manifest or {}
    made = found.state in (DONE, ASIDE) and "finished" in manifest
    size = size_of(found.holds or found.folder)
    return Row(
        found.stage.name,
        found.stage.uses,
        _state(found, at_work),
        bytes_text(size) if size else "",
        seconds_text(manifest["seconds"]) if made else "",
        manifest["finished"].replace("T", " ").rstrip("Z") if made else "",
        WOULD[found.state],
        tuple(map(str, found.reasons)),
    )


def _state(found: Found, at_work: bool) -> str:
    step = f" at step {found.step:,}" if found.step is not None else ""
    if found.state == INTERRUPTED:
        return f"at work, saved{step}" if at_work and step else "at work" if at_work else f"cut off{step}"
    if found.state == STALE and step:
        return f"stale, cut off{step}"
    return found.state


def actions(stages: Sequence[Found], choice: Choice, chosen: Collection[str]) -> dict[str, str]:
    """What a command would do with each stage. What follows a stage that is done again is only known then."""
    found: dict[str, str] = {}
    for one in stages:
        name = one.stage.name
        if name not in chosen:
            found[name] = "leave"
        elif choice is not EVERYTHING and choice.begins_again(one):
            found[name] = "do again" if one.folder.is_dir() else "do"
        else:
            found[name] = WOULD[one.state]
    return found


def as_json(stages: Sequence[Found]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "stage": found.stage.name,
            "uses": found.stage.uses,
            "state": found.state,
            "step": found.step,
            "reasons": [str(reason) for reason in found.reasons],
            "identity": found.identity,
            "folder": str(found.holds or found.folder),
            "bytes": size_of(found.holds or found.folder),
            "finished": (found.manifest or {}).get("finished"),
        }
        for found in stages
    ]
