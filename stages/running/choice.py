"""Which stages of a run are to be done: all, some alone, or one and all that follow it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from nanogen.text.diagnostics import nearest
from runtime.faults import Fault
from stages.runfile.load import Run
from stages.running.survey import ASIDE, DONE, INTERRUPTED, Found


@frozen
class Choice:
    """`only` these, or `begin` and what follows it, done again; neither is all of them."""

    only: tuple[str, ...] = ()
    begin: str | None = None
    follow: frozenset[str] = frozenset()  # `begin`, and what follows it
    again: frozenset[str] = frozenset()  # of these, what is still to be done again although it is done

    @classmethod
    def of(cls, run: Run, *, only: Sequence[str] = (), begin: str | None = None) -> Choice:
        """Raises Fault for a stage that the run does not have."""
        names = [stage.name for stage in run.stages]
        for name in [*only, *([begin] if begin is not None else [])]:
            if name not in names:
                raise Fault(f"`{run.name}` has no stage `{name}`", nearest(name, names))
        follow = frozenset(following(run, begin)) if begin is not None else frozenset()
        return cls(tuple(only), begin, follow, follow)

    def stages(self, run: Run, found: Iterable[Found]) -> set[str]:
        """The names of the stages to be done; raises Fault where something before them is not."""
        if not self.only and self.begin is None:
            return {stage.name for stage in run.stages}
        chosen = set(self.only) or set(self.follow)
        states = {one.stage.name: one for one in found}
        for stage in run.stages:
            for need in stage.needs:
                if stage.name in chosen and need not in chosen and states[need].state != DONE:
                    raise _not_done(stage.name, states[need])
        return chosen

    def work(self, run: Run, found: Sequence[Found]) -> list[Found]:
        """Those of the chosen stages that there is something to do for."""
        chosen = self.stages(run, found)
        return [f for f in found if f.stage.name in chosen and (f.state != DONE or self.begins_again(f))]

    def begins_again(self, found: Found) -> bool:
        """Whether a stage is to be begun anew; what was cut off is gone on with, so that a kill costs nothing."""
        return found.stage.name in self.again and found.state != INTERRUPTED


def following(run: Run, name: str) -> list[str]:
    """A stage and all that need it, or need what needs it."""
    found = {name}
    for stage in run.stages:  # in order: what is needed comes before
        if found & set(stage.needs):
            found.add(stage.name)
    return [stage.name for stage in run.stages if stage.name in found]


def _not_done(name: str, need: Found) -> Fault:
    why = f": {'; '.join(map(str, need.reasons))}" if need.reasons else ""
    state = "only set aside" if need.state == ASIDE else need.state
    message = f"`{name}` needs `{need.stage.name}`, which is {state}{why}"
    return Fault(message, f"do that first: `--only {need.stage.name}`, or run all")


EVERYTHING = Choice()
