"""What the stages of a run need from outside, and getting it before the first of them starts.

A kind of stage says what it needs, `needs(settings)`. Knows nothing of how files come.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from runtime.faults import Fault
from stages.data.fetch import fetch
from stages.data.needs import Need, Wish
from stages.data.place import data_folder
from stages.data.plan import HERE, Item, Planner
from stages.data.web import Patience
from stages.runfile.load import Run

if TYPE_CHECKING:
    from stages.progress import Reporter

NAMED = 8  # files that a message names


@frozen
class Wanted:
    """All that a run needs, and what is wrong with what it says of that."""

    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...]

    @property
    def needs(self) -> list[Need]:
        return [wish.need for wish in self.wishes]


def wanted_of(run: Run) -> Wanted:
    """What all stages of a run need, once each, in the order of the stages."""
    found: dict[Need, Wish] = {}
    faults = []
    for stage in run.stages:
        tell = getattr(stage.kind, "needs", None)
        try:
            wishes: list[Wish] = tell(stage.settings) if tell is not None else []
        except Fault as fault:
            faults.append(Fault(f"stage `{stage.name}`: {fault.message}", fault.help))
            continue
        for wish in wishes:
            known = found.get(wish.need, wish)
            download, optional = wish.download or known.download, wish.optional and known.optional
            found[wish.need] = Wish(wish.need, download, optional)
    return Wanted(tuple(found.values()), tuple(faults))


def fetch_run(run: Run, tell: Reporter) -> list[Item]:
    """Get all that a run needs; raises Fault with what did not come, once everything else has."""
    wanted = wanted_of(run)
    items = fetch(wanted.needs, data_folder(), tell)
    if wanted.faults:
        raise wanted.faults[0]
    return items


def fetch_asked(run: Run, tell: Reporter) -> None:
    """Before a run starts: get what its file lets be fetched (`download = true`) and is not here.

    What can be left out is only told of where it does not come.
    """
    asked = [wish for wish in wanted_of(run).wishes if wish.download]
    for optional in (False, True):
        needs = [wish.need for wish in asked if wish.optional == optional]
        if not needs or not missing(needs):
            continue
        try:
            # what can be left out is not waited for long
            fetch(needs, data_folder(), tell, patience=Patience(tries=3) if optional else None)
        except Fault as fault:
            if not optional:
                raise
            tell.line(f"left out: {fault.message}")


def check_offline(run: Run, named: str, tell: Reporter) -> None:
    """Raise Fault with every file that a run needs and that is not here; `named` is what the user calls the run."""
    wishes = wanted_of(run).wishes
    for item in missing([wish.need for wish in wishes if wish.optional]):
        tell.line(f"left out, since it is not here: {item.label}")
    lacking = missing([wish.need for wish in wishes if not wish.optional])
    if lacking:
        raise absent(lacking, named)


def absent(items: Sequence[Item], named: str) -> Fault:
    """The fault of files that are not here, where nothing may be fetched."""
    names = ", ".join(f"`{item.label}`" for item in items[:NAMED])
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    count = "1 file is" if len(items) == 1 else f"{len(items)} files are"
    message = f"{count} not here: {names}{more}; looked in `{data_folder()}`"
    return Fault(message, f"where there is a network: nanogen fetch {named}")


def missing(needs: Sequence[Need]) -> list[Item]:
    """What of it is not here whole; nothing is asked of the network."""
    return [item for item in plan_here(needs, data_folder()) if item.state != HERE]


def plan_here(needs: Sequence[Need], top: Path) -> list[Item]:
    """The files that are needed, told without the network."""
    return Planner(top, Patience(), silent=True).plan(needs)
