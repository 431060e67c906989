"""A run on several ranks: the first walks the stages as ever, the others train with it and wait while it does the rest.

Whatever ends one of them ends all, and is told once: by the rank that it befell, or where that was killed, by one that
is left. Where whoever started them was killed, each sees that for itself, and the first has told it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from runtime.faults import Fault
from runtime.ranks import Joined, Lost, Ranks, join
from runtime.stopping import AGAIN, Stop, Stopped
from stages.progress import Reporter
from stages.running.parent import HELD, gone, watch
from stages.running.trouble import as_fault
from stages.training.settings import SessionSettings
from stages.work import Input, Work

if TYPE_CHECKING:
    from stages.runfile.load import Run, Stage
from stages.runfile.machine import agreed


def trains(stage: Stage) -> bool:
    """Whether all ranks work on a stage."""
    return isinstance(stage.settings, SessionSettings)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Be one of the ranks that the environment says; the others hear of whatever ends this one."""
    if HELD in os.environ:
        watch(speaks=os.environ.get("RANK") == "0")
    ranks = join()
    if not isinstance(ranks, Joined):
        yield ranks
        return
    ranks.orphaned = gone
    with _among(ranks), _ending_with_parent():
        yield ranks


@contextmanager
def _among(ranks: Joined) -> Iterator[Ranks]:
    try:
        yield ranks
        if ranks.leads:
            ranks.tell(None)
        ranks.leave()
        _end_at_once()
    except Lost as lost:
        _end_by_others(ranks, lost)
    except Stopped as stopped:
        ranks.note(str(stopped), stopped.signal)
        if ranks.leads:
            raise
        sys.exit(stopped.exit_code)
    except Exception as error:
        fault = as_fault(error, Path.cwd())
        told = fault.message if fault is not None else f"{type(error).__name__}: {error}"
        ranks.note(told)
        if fault is None or ranks.leads:
            raise
        raise Fault(f"rank {ranks.rank} of {ranks.count}: {fault.message}", fault.help) from error


@contextmanager
def _ending_with_parent() -> Iterator[None]:
    """Whatever ends a rank because whoever started it is gone, has been told."""
    try:
        yield
    except BaseException:
        if gone():
            _end_at_once(AGAIN)
        raise


def _end_at_once(code: int = 0) -> None:
    """End without what Python does last: threads of the group that are not gone yet would have C++ abort it."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _end_by_others(ranks: Joined, lost: Lost) -> None:
    """End because of another rank, which has said why, or cannot."""
    if lost.signal:
        stopped = Stopped(lost.signal)
        if ranks.leads:
            raise stopped from None
        sys.exit(stopped.exit_code)
    if lost.speaks:
        raise lost
    sys.exit(1)


def follow(ranks: Joined, load: Callable[[], Run], runs: Path, stop: Stop | None = None) -> None:
    """Train whatever the first rank begins to train, until it has no more. `load` reads the run once there is any."""
    stop, run = stop or Stop(), None
    silent = Reporter(Console(quiet=True))
    with stop.listening():
        while (order := ranks.hear()) is not None:
            run = run or load()
            stage, folder = run.stage(order["stage"]), runs / run.name
            inputs = tuple(Input(n, run.stage(n).uses, folder / n) for n in stage.needs)
            work = Work(
                run.name,
                stage.name,
                stage.settings,
                inputs,
                folder / stage.name,
                run.seed,
                silent,
                stage.compiled,
                stop,
                on=agreed(ranks, run.hardware),
                ranks=ranks,
            )
            try:
                stage.kind.run(work)
            except Lost:
                raise
            except Fault as fault:
                raise Fault(f"`{stage.name}`: {fault.message}", fault.help) from fault
            del work
            _let_go_of_memory()


def _let_go_of_memory() -> None:
    """While this rank waits, the first may want all of the machine."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
