"""Walk a run's stages: skip what is done, go on with what was cut off, do the rest, stop at the first failure.

What another identity left in a stage's folder is set aside, never deleted, and brought back when it is asked for again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from nanogen.views.figures import seconds_text
from runtime.atomic import write_bytes
from runtime.faults import Fault
from runtime.manifest import to_json, write_manifest
from runtime.ranks import ALONE, Lost, Ranks
from runtime.stopping import Stop
from stages.code_version import code_version
from stages.logs.run_folder import note_plan
from stages.models.checked import check_input
from stages.progress import Reporter
from stages.runfile.load import Run, Stage
from stages.runfile.machine import agreed
from stages.runfile.origins import resolved
from stages.running.again import forget, less_done, note_done
from stages.running.choice import EVERYTHING, Choice
from stages.running.identity import facts_of, identity
from stages.running.lock import alone
from stages.running.old import bring_back, set_aside
from stages.running.parent import SOON, telling
from stages.running.ranks import trains
from stages.running.reasons import Reason, model_told
from stages.running.survey import (
    ASIDE,
    DONE,
    INTERRUPTED,
    MISSING,
    STALE,
    WORK,
    Found,
    read_work,
    survey,
    survey_stage,
)
from stages.running.trouble import as_fault
from stages.work import SAVES, Input, Work

LOG = "run.log"
PATIENCE = 120.0  # seconds in which a process that is left over ends
RESOLVED = "settings.json"  # every value of the run with where it comes from


@frozen
class Wishes:
    """How a run is to be done, beyond what its file says. None of it changes a result."""

    choice: Choice = EVERYTHING
    jobs: int = 1  # stages at once
    data_may_change: bool = False  # go on with what was cut off although its data is another
    ranks: Ranks = ALONE  # who trains with this process


def execute(
    run: Run,
    runs: Path,
    tell: Reporter,
    wishes: Wishes | None = None,
    stop: Stop | None = None,
    begin: Callable[[list[Stage]], None] = lambda _: None,
) -> Path:
    """Run what is not done; returns the run's folder. `begin` is called with that before any of it is.

    Raises Fault for what a user can put right, Stopped when a signal asked for it, or whatever a stage raised.
    """
    wishes, stop, folder = wishes or Wishes(), stop or Stop(), runs / run.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # ranks whose launcher was killed may be saving yet
        patience = SOON if wishes.ranks.count > 1 else 0.0
        with alone(folder, patience=patience), telling(tell), stop.listening():
            wishes = evolve(wishes, choice=less_done(wishes.choice, folder))
            _execute(run, folder, Runner(run, folder, tell, stop, wishes), begin)
            forget(folder)
    except Exception as error:
        fault = as_fault(error, folder)
        if fault is None:
            raise
        raise fault from error
    finally:
        tell.log = None
    return folder


def _execute(run: Run, folder: Path, runner: Runner, begin: Callable[[list[Stage]], None]) -> None:
    found = survey(run, folder)
    chosen = runner.wishes.choice.stages(run, found)
    if all(f.state == DONE for f in found) and not runner.wishes.choice.again:
        for one in found:
            publish(one, folder)
        runner.tell.line(f"`{run.name}` is done: nothing to do, all {len(found)} stages stand in {folder}")
        return
    begin([one.stage for one in runner.wishes.choice.work(run, found)])
    note_plan(folder, [stage.name for stage in run.stages])
    write_bytes(folder / RESOLVED, to_json(resolved(run)))
    runner.tell.log = folder / LOG
    if runner.wishes.jobs > 1:
        from stages.running.beside import side_by_side

        side_by_side(runner, chosen)
        return
    for stage in run.stages:
        # what a stage before it made may be other than what this one was made from
        one = survey_stage(run, stage, folder, runner.found)
        runner.found[stage.name] = runner.do(one) if stage.name in chosen else one


@define
class Runner:
    """Does the stages of a run, one by one. `found` is what stands of those that were come to."""

    run: Run
    folder: Path
    tell: Reporter
    stop: Stop
    wishes: Wishes
    found: dict[str, Found] = field(factory=dict, init=False)

    def do(self, found: Found) -> Found:
        """Bring a stage to its end, however far it is; returns what stands of it then."""
        name, begin_again = found.stage.name, self.wishes.choice.begins_again(found)
        if found.state == DONE and not begin_again:
            self.tell.stage(name, "done before")
        elif found.state == ASIDE and not begin_again:
            found = self._bring_back(found)
        else:
            if begin_again:
                found = evolve(found, state=STALE if found.folder.is_dir() else MISSING, holds=None)
            found = self._work(found)
            note_done(self.wishes.choice, self.folder, name)
        publish(found, self.folder)
        return found

    def _bring_back(self, found: Found) -> Found:
        self.tell.stage(found.stage.name, "made before from just this; brought back")
        bring_back(found)
        done = not (found.folder / WORK).is_file() or (found.folder / "manifest.json").is_file()
        found = evolve(found, holds=found.folder, state=DONE if done else INTERRUPTED)
        return found if done else self._work(found)

    def _work(self, found: Found) -> Found:
        stage, allowed = found.stage, self._allowed(found)
        if found.state == STALE and not allowed:
            self._begin_again(found)
        else:
            how = ", going on where it was cut off" if found.state == INTERRUPTED or allowed else ""
            self.tell.stage(stage.name, f"{stage.uses}{how}")
        found.folder.mkdir(exist_ok=True)
        kept = (read_work(found.folder) or {}).get("allowed", []) if found.state == INTERRUPTED else []
        allowed = [*kept, *allowed]
        begun = {
            "identity": found.identity,
            "needs": found.needs,
            "allowed": allowed,
            "facts": found.facts,
            "told": model_told(stage),
        }
        write_bytes(found.folder / WORK, to_json(begun))
        started = time.monotonic()
        try:
            # a process that was started beside another, which was killed, may be saving yet
            with alone(self.folder, f".{stage.name}.lock", patience=PATIENCE):
                self._call(found)
        except Lost:
            raise
        except Fault as fault:
            raise Fault(f"`{stage.name}`: {fault.message}", fault.help) from fault
        seconds = time.monotonic() - started
        found = self._finish(found, begun, seconds)
        self.tell.line(f"done in {seconds_text(seconds)}")
        return found

    def _call(self, found: Found) -> None:
        stage, run = found.stage, self.run
        inputs = tuple(Input(n, run.stage(n).uses, self.folder / n) for n in stage.needs)
        for given in inputs:
            check_input(given.folder, self.tell)
        ranks = self.wishes.ranks if trains(stage) else ALONE
        ranks.tell({"stage": stage.name})
        stage.kind.run(
            Work(
                run.name,
                stage.name,
                stage.settings,
                inputs,
                found.folder,
                run.seed,
                self.tell,
                stage.compiled,
                self.stop,
                on=agreed(ranks, run.hardware),
                ranks=ranks,
            )
        )

    def _finish(self, found: Found, begun: Mapping[str, Any], seconds: float) -> Found:
        """Write the manifest, by which the stage is done."""
        stage = found.stage
        if not found.facts["outside"].get("data"):  # what it read may have been fetched since
            facts = facts_of(stage, found.facts["needs"], self.run.seed)
            found = evolve(found, facts=facts, identity=identity(facts))
        facts = {
            "identity": found.identity,
            "run": self.run.name,
            "stage": stage.name,
            "uses": stage.uses,
            "code": code_version(),
            "needs": found.needs,
            "facts": found.facts,
            "told": begun["told"],
            **({"allowed": begun["allowed"]} if begun["allowed"] else {}),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(seconds, 2),
        }
        write_manifest(found.folder, facts, without=(WORK, SAVES))
        return evolve(found, state=DONE, holds=found.folder, reasons=())

    def _begin_again(self, found: Found) -> None:
        stage = found.stage
        why = "; ".join(map(str, found.reasons)) or "as asked"
        aside = set_aside(found.folder)
        self.tell.stage(stage.name, f"{stage.uses}, again: {why}; the earlier result is kept in {aside}")

    def _allowed(self, found: Found) -> list[dict[str, Any]]:
        """The changes of data that a stage which was cut off goes on over; raises Fault unless that is wished."""
        if found.state != STALE or (step := found.step) is None or not found.reasons:
            return []
        if not all(reason.data for reason in found.reasons):
            return []
        name, why = found.stage.name, "; ".join(map(str, found.reasons))
        if self.wishes.data_may_change:
            self.tell.line(f"`{name}` goes on from step {step:,} over other data, as allowed: {why}")
            return [{"step": step, "what": str(reason)} for reason in found.reasons]
        message = f"`{name}` was cut off at step {step:,}, and its data is another since: {why}"
        help = (
            f"put the data back, or begin it anew with `--from {name}` (what there is, is kept); "
            "`--allow-data-change` goes on over the other data, and writes that down"
        )
        raise Fault(message, help)


def publish(found: Found, folder: Path) -> None:
    """Tidy up what only an unfinished stage needs, and show at the top of the run what its kind says."""
    (found.folder / WORK).unlink(missing_ok=True)
    shutil.rmtree(found.folder / SAVES, ignore_errors=True)
    for name in getattr(found.stage.kind, "PUBLISHED", ()):
        made, shown = (found.folder / name).read_bytes(), folder / name
        if not shown.is_file() or shown.read_bytes() != made:
            write_bytes(shown, made)


__all__ = ["EVERYTHING", "LOG", "Choice", "Reason", "Runner", "Wishes", "execute", "publish"]
