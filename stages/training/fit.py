"""What fits the memory of the device: tried before the first step, and where it does not fit after all, less at once.

    session.ways = ways_of_rows(session, compiled, length, evaluates=True)
    probe(session)                # a real step, evaluation and answers; nothing of the run is changed by it
    result = make_step(session)   # with fewer rows at once for as long as memory is too small; no step is lost

A step that does not fit is made again from the same rows, with the same draws of its number, in smaller micro-batches:
from there on the run is, to the bit, one that had those from that step on. The batch, the schedule and the data stay.
Several ranks fall back together. That one of them had too little memory while gradients were made rides along with the
loss, which they add up anyway. Where it has too little while weights are moved, or while ranks hand each other
tensors, no rank can step back: the run ends with one message, the smaller size is written down, and the same command
goes on from the last save with it. Which sizes hold from when is in `at_once.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from nanogen.load import Load
from nanogen.views.figures import bytes_text
from runtime.faults import Fault, TooLarge, is_out_of_memory
from runtime.ranks import Lost
from runtime.shares import at_once
from stages.training.at_once import EVALUATION, SAMPLING, STEP, STEPPING, Change
from stages.training.footprint import MicroBatch

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from runtime.training import StepResult
    from stages.training.session import Session
    from stages.work import Work


def halved(size: int) -> int | None:
    return size // 2 or None


@frozen
class Way:
    """One thing that is computed at once, in some size: how it is tried, and which size comes next below one."""

    attempt: Callable[[int], None]
    unit: str  # of the size
    least: str  # the smallest size in words
    smaller: Callable[[int], int | None] = halved
    load: Callable[[int], Load] | None = None  # of a step on one rank


def ways_of_rows(session: Session, compiled: Compiled, length: int, *, evaluates: bool) -> dict[str, Way]:
    """Those of a stage that learns from rows of one length."""
    from runtime.probe import try_evaluation, try_step

    trainer, vocab, planned = session.trainer, compiled.graph.vocab, session.load or Load(1, length)

    def load(rows: int) -> Load:
        micros = trainer.step_rows // rows
        return evolve(planned, rows=at_once(micros, rows, trainer.ranks.count, whole=trainer.draws))

    found = {
        STEP: Way(
            lambda _: try_step(trainer, length=length, vocab=vocab),
            "rows at once",
            "one row",
            lambda _: trainer.smaller(),
            load,
        )
    }
    if evaluates:
        found[EVALUATION] = Way(
            lambda rows: try_evaluation(trainer, rows=rows, length=length, vocab=vocab),
            "rows of an evaluation at once",
            "one row",
        )
    return found


# -- falling back


def make_step(session: Session) -> StepResult:
    """One step of the session, however small its micro-batches have to become."""
    while True:
        session.reach(STEPPING)
        try:
            return session.learn()
        except TooLarge as error:
            what, moving = error.what, False
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            what, moving = STEP, True
        if moving:
            raise _stopped(session)
        if not fall_back(session, what):
            raise nothing_fits(session, what)


def fall_back(session: Session, what: str) -> bool:
    """Compute less of something at once from here on; False where there is nothing less."""
    from runtime.training import let_go_of_memory

    smaller = session.ways[what].smaller(session.size(what))
    if smaller is None:
        return False
    let_go_of_memory()
    session.at_once.fall(what, session.moment, smaller)
    if session.work.ranks.leads:
        session.at_once.write()
    session.reach(session.moment[1])
    return True


def take(session: Session, change: Change, *, told: bool) -> None:
    """Change what is computed at once, and log it; `told`: to people, too."""
    trainer, (step, _) = session.trainer, change.moment
    if change.what == STEP and trainer.loader is not None:
        trainer.cut(change.size)
        session.rows = change.size
    unit = session.ways[change.what].unit if change.what in session.ways else change.what
    more = f", {trainer.accumulation:,} times a step" if change.what == STEP and trainer.loader else ""
    if told:
        session.work.tell.line(
            f"step {step:,}: {change.before:,} {unit} do not fit the memory; {change.size:,} from here on{more}"
        )
    session.metrics.log(kind="fallback", step=step, what=change.what, size=change.size, before=change.before)


def _stopped(session: Session) -> Fault:
    """The end of a run that had too little memory where a step cannot be made again; the next start has smaller ones."""
    smaller = session.ways[STEP].smaller(session.size(STEP))
    step = session.trainer.step
    message = f"there was not enough memory for the weights to be moved in step {step:,}"
    if smaller is None:
        return Fault(message, nothing_fits(session, STEP).help)
    session.at_once.fall(STEP, session.moment, smaller)
    session.at_once.write()  # whichever rank it is
    unit = session.ways[STEP].unit
    return Fault(
        message,
        f"what was saved is intact: the same command goes on from there, with {smaller:,} {unit} from step {step:,} on",
    )


# -- the probe


def probe(session: Session) -> None:
    """Try all that the stage computes, unless this device has done so for this run; say what it took."""
    from runtime.probe import undone

    here = device_of(session.work)
    done = session.trainer.step == session.steps
    if done or not _wanted(session) or session.at_once.probed == here:
        return
    begun = time.monotonic()
    with undone(session.trainer):
        peaks = {what: _tried(session, what) for what in session.ways}
    session.at_once.probed = here
    if session.work.ranks.leads:
        session.at_once.write()
    _tell(session, peaks)
    session.saved_at += time.monotonic() - begun  # saves come by the time that was trained


def _wanted(session: Session) -> bool:
    asked = session.work.settings.probe
    if session.trainer.shards is not None:
        return False  # where one rank had too little memory, the others would wait for its parts
    return bool(session.ways) and (asked == "yes" or (asked == "auto" and session.on.device != "cpu"))


def device_of(work: Work) -> dict[str, Any]:
    """What a probe has been done for: a run that goes on elsewhere is tried again."""
    return {
        "device": work.on.device,
        "name": work.on.name,
        "memory": work.on.memory,
        "ranks": work.ranks.count,
    }


def _tried(session: Session, what: str) -> int | None:
    """The most that any rank took, at the largest size that fits all of them; None where nothing tells."""
    from runtime.probe import Peak
    from runtime.training import let_go_of_memory

    trainer, ranks, way = session.trainer, session.work.ranks, session.ways[what]
    held = sum(t.nbytes for t in (*trainer.held().values(), *trainer.optimizer.kept().values()))
    while True:
        peak, failed, agreed = Peak(trainer.device, held), False, True
        try:
            if session.on.device == "cpu":
                _attempt(session, way, what)  # what a process loads and compiles is none of the step's
            with peak:
                _attempt(session, way, what)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed, agreed = True, isinstance(error, TooLarge) or what != STEP
        trainer.optimizer.zero_grad()
        let_go_of_memory()
        if ranks.count > 1 and not agreed:  # the others are waiting within the step
            raise nothing_fits(session, what)
        (failures,) = ranks.total(float(failed), patient=True)
        if not failures:
            return ranks.most(peak.bytes or 0)[0] or None
        if fall_back(session, what):
            continue
        if what == EVALUATION:
            session.work.tell.line("not even one row can be evaluated: there is not enough memory for it")
            return None
        raise nothing_fits(session, what)


def _attempt(session: Session, way: Way, what: str) -> None:
    """Try it as it will be done at this step."""
    session.trainer.step = session.moment[0]
    way.attempt(session.size(what))


def _tell(session: Session, peaks: dict[str, int | None]) -> None:
    """One line: what was predicted of a step, and what it took."""
    way, size = session.ways[STEP], session.size(STEP)
    found = {"predicted": predicted(session)} | {k: v for k, v in peaks.items() if v is not None}
    shape = _load(way, size)
    told = f"predicted {bytes_text(found['predicted'])}"
    if peaks[STEP] is not None:
        told += f", measured {bytes_text(found[STEP])}"
    told += f" at micro-batch {shape.rows:,} x {shape.tokens:,}"
    named = {EVALUATION: "an evaluation", SAMPLING: "answers"}
    others = [f"{named[what]} {bytes_text(found[what])}" for what in named if what in found]
    session.work.tell.line("; ".join([told, *others]))
    measured = {("measured" if what == STEP else what): value for what, value in found.items()}
    session.log_time("probe", session.trainer.step, rows=shape.rows, tokens=shape.tokens, **measured)


def _load(way: Way, size: int) -> Load:
    assert way.load is not None, "a step says what it is of"
    return way.load(size)


def predicted(session: Session) -> int:
    """Bytes of a step on one rank by the ledger that rows were planned with."""
    trainer, way = session.trainer, session.ways[STEP]
    micros = len(trainer.share()) if trainer.loader is not None else 2
    step = MicroBatch(_load(way, session.size(STEP)), max(1, micros), devices=session.work.ranks.count)
    return step.ledger(session.compiled, trainer.dtype.itemsize).total


def nothing_fits(session: Session, what: str) -> Fault:
    """The end: not even the smallest step fits. Of ranks that all know it, the first says so."""
    from runtime.probe import memory_of

    found, whole = predicted(session), session.work.on.memory
    shape = _load(session.ways[STEP], session.size(STEP))
    free = memory_of(session.trainer.device)
    has = (
        f"{bytes_text(whole)}" if free is None else f"{bytes_text(free[1])}, {bytes_text(free[0])} of it free"
    )
    device = session.work.on.name or ("this GPU" if session.on.device == "cuda" else "this machine")
    rows = f"{shape.rows:,} row{'s' if shape.rows > 1 else ''} of {shape.tokens:,}"
    message = (
        f"not even {session.ways[what].least} fits the memory: a step of {rows} takes {bytes_text(found)} by the plan, "
        f"and {device} has {has}"
    )
    help = "; or ".join(_changes(session, min(whole, found))) or "train it on a larger device"
    if session.work.ranks.count > 1 and not session.work.ranks.leads:
        return Lost(message, help, speaks=False)
    return Fault(message, help)


def _changes(session: Session, memory: int) -> list[str]:
    """What to write in the run file so that the plan has a smaller step than the one that did not fit."""
    import sys

    from stages.planning.proposals import changes
    from stages.runfile.load import Stage

    work, settings = session.work, session.work.settings
    kind: Any = sys.modules[type(settings).__module__]
    least = {"micro_tokens": session.size(STEP)} if hasattr(settings, "micro_tokens") else {"rows": 1}
    uses = kind.__name__.rpartition(".")[2]
    stage = Stage(work.name, uses, (), kind, evolve(settings, **least), session.compiled)
    return [str(change) for change in changes(stage, evolve(work.on, memory=memory))]
