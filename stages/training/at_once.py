"""How much a training stage computes at once, from which moment on: what was planned, and what turned out to fit.

    sizes = AtOnce(saves / NAME, {STEP: 32, EVALUATION: 32})
    sizes.size(STEP, (17, STEPPING))          # rows of a micro-batch as step 17 is made
    sizes.fall(STEP, (17, STEPPING), 16)      # and from then on

How a step is cut into micro-batches changes the last bits of its sums, and which dials are drawn, so a run has the same
bits only where it is cut the same. Rows are therefore no part of a stage's identity, for they change nothing but that,
and yet what was done is written down the moment it is decided: a run that goes on computes every step, every
evaluation and every answer with the rows that these had before, whether a save came in between or not. Kept among the
saves, and gone with them. Knows nothing of torch, nor of why something did not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from runtime.atomic import write_bytes
from runtime.faults import Fault
from runtime.manifest import to_json
from runtime.plain_json import read_object

NAME = "at_once.json"
STEP, EVALUATION, SAMPLING = "step", "evaluation", "sampling"
EVALUATING, STEPPING = 0, 1  # what comes first at a step

Moment = tuple[int, int]  # a step, and what is done there


@frozen
class Change:
    """What is computed at once from a moment on."""

    what: str
    moment: Moment
    size: int
    before: int


@define
class AtOnce:
    """Sizes by what they are of. `probed` says of which device it is known that they fit; `reached` counts changes made."""

    path: Path
    planned: dict[str, int]
    changes: list[Change] = field(factory=list)
    probed: dict[str, Any] = field(factory=dict)
    reached: int = 0

    @classmethod
    def read(cls, path: Path) -> AtOnce | None:
        """What an earlier start left; None where there is none that can be read."""
        if not path.is_file():
            return None
        try:
            found = read_object(path)
            changes = [Change(c["what"], (*c["moment"],), c["size"], c["before"]) for c in found["changes"]]
            return cls(path, found["planned"], changes, found["probed"])
        except (Fault, KeyError, TypeError):
            return None

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        changes = [attrs.asdict(change) for change in self.changes]
        facts = {"planned": self.planned, "changes": changes, "probed": self.probed}
        write_bytes(self.path, to_json(facts))

    def size(self, what: str, moment: Moment) -> int:
        changed = [change.size for change in self.changes if change.what == what and change.moment <= moment]
        return changed[-1] if changed else self.planned[what]

    def fall(self, what: str, moment: Moment, size: int) -> None:
        """Compute less at once from a moment on. An evaluation never has more rows than a step.

        What was to change later, before the run was cut off, is another story now.
        """
        self.changes = [change for change in self.changes if change.moment <= moment]
        smaller = {what: size}
        if what == STEP and EVALUATION in self.planned:
            smaller[EVALUATION] = min(size, self.size(EVALUATION, moment))
        for name, fewer in smaller.items():
            before = self.size(name, moment)
            if fewer != before:
                self.changes.append(Change(name, moment, fewer, before))

    def begin(self, moment: Moment) -> None:
        """Go on from a moment: what changed before it is done."""
        self.reached = sum(change.moment < moment for change in self.changes)

    def due(self, moment: Moment) -> list[Change]:
        """The changes that come with a moment, each once."""
        reached = sum(change.moment <= moment for change in self.changes)
        found, self.reached = self.changes[self.reached : reached], max(reached, self.reached)
        return found
