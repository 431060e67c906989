"""Take some real steps of a stage under torch's profiler: traces in a folder, and a table of where the time goes.

The stage works in a folder that is thrown away, on the inputs that its run has made: nothing of the run changes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, field, frozen

from runtime.faults import Fault
from runtime.manifest import read_manifest
from stages.profiling.events import STEP, spent
from stages.profiling.places import Places
from stages.profiling.table import Facts, Sums, Table, make_table
from stages.runfile.load import Run, Stage
from stages.runfile.machine import here
from stages.watching.peak import fitting
from stages.work import Input, Work

if TYPE_CHECKING:
    from stages.profiling.scopes import Scopes
    from stages.progress import Reporter
    from stages.training.footprint import MicroBatch
    from stages.training.session import Session

WARM = {"eager": 1, "compiled": 3}  # steps before those that count
WAYS = ("eager", "compiled")
WORKER = "step"  # what TensorBoard calls the process


class Enough(Exception):
    """The steps that were wanted are made: the stage is let go of."""


@frozen
class Wanted:
    """What to profile, and how long."""

    steps: int
    folder: Path  # where traces go
    ways: tuple[str, ...] = WAYS
    on: str | None = None  # a hardware file


def find_stage(run: Run, name: str | None) -> Stage:
    """The stage of a name, or the first that trains; raises Fault."""
    trained = [stage for stage in run.stages if hasattr(stage.kind, "micro_batch")]
    if name is None:
        if not trained:
            raise Fault(f"`{run.name}` has no stage that trains", "there is nothing to profile")
        return trained[0]
    named = ", ".join(f"`{stage.name}`" for stage in trained) or "none"
    found = next((stage for stage in run.stages if stage.name == name), None)
    if found is None or found not in trained:
        what = "has no stage" if found is None else "does not train in"
        raise Fault(f"`{run.name}` {what} `{name}`", f"stages that train: {named}")
    return found


def check_inputs(run: Run, stage: Stage, folder: Path) -> tuple[Input, ...]:
    """What the stage reads, as the run has made it; raises Fault where it has not."""
    for name in stage.needs:
        if read_manifest(folder / name) is None:
            rehearse = " --rehearse" if run.stand_ins is not None else ""
            help = f"make it first: `nanogen run {run.path.stem}{rehearse} --only {name}`"
            raise Fault(f"`{stage.name}` reads `{name}`, which is not done in `{folder}`", help)
    return tuple(Input(name, run.stage(name).uses, folder / name) for name in stage.needs)


def profile(run: Run, stage: Stage, folder: Path, wanted: Wanted, tell: Reporter) -> list[Table]:
    """A table for each way that this machine can compute in; `folder` is the run's."""
    inputs, tables, on = check_inputs(run, stage, folder), [], here(run.hardware)
    for way in wanted.ways:
        settings = stage.settings
        if way == "compiled" and not hasattr(settings, "compile"):
            tell.line(f"`{stage.name}` is never compiled: its rows have all lengths")
            continue
        if hasattr(settings, "compile"):
            settings = attrs.evolve(settings, compile="yes" if way == "compiled" else "no")
        looking = Looking(wanted, way, tell, stage.kind.micro_batch(settings, stage.compiled, on))  # pyright: ignore[reportAttributeAccessIssue]
        with tempfile.TemporaryDirectory() as scratch:
            work = Work(
                run.name,
                stage.name,
                settings,
                inputs,
                Path(scratch),
                run.seed,
                tell,
                stage.compiled,
                on=on,
                instead=looking.take,
            )
            try:
                stage.kind.run(work)
            except Enough:
                tables.append(looking.table)
    return tables


@define
class Looking:
    """Takes the steps of one session, in place of its training."""

    wanted: Wanted
    way: str
    tell: Reporter
    micro_batch: MicroBatch
    _table: Table | None = field(default=None, init=False)

    @property
    def table(self) -> Table:
        assert self._table is not None, "the stage never came to train"
        return self._table

    def take(self, session: Session) -> None:
        from stages.profiling.scopes import Scopes

        scopes, steps = Scopes(), self.wanted.steps
        scopes.mark(session.trainer)
        self.tell.line(
            f"{self.way}: {WARM[self.way]} steps to warm up, then {steps} as they are, and {steps} more profiled"
        )
        _steps(session, WARM[self.way])
        plain = _steps(session, steps)
        scopes.clear()
        self._table = self._profiled(session, scopes, plain / steps)
        raise Enough

    def _profiled(self, session: Session, scopes: Scopes, plain: float) -> Table:
        from torch.profiler import ProfilerAction, ProfilerActivity
        from torch.profiler import profile as torch_profile

        from stages.profiling.reading import read

        cuda = session.on.device == "cuda"
        doing = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]

        def every(step: int) -> ProfilerAction:
            """Only with a schedule do steps stand in the trace."""
            return ProfilerAction.RECORD

        with torch_profile(activities=doing, schedule=every, record_shapes=True, acc_events=True) as trace:
            seconds = _steps(session, self.wanted.steps, trace)
        path = self._trace_path()
        trace.export_chrome_trace(str(path))
        self.tell.line(f"{self.way}: {path}")
        times = spent(read(trace.events() or (), device=cuda))
        sums = Sums(self.way, self.wanted.steps, plain, seconds, times, scopes.calls, scopes.passes)
        return make_table(sums, self._facts(session))

    def _facts(self, session: Session) -> Facts:
        """What the table is held against: the graph, a micro-batch where all are alike, and the device's peak."""
        from runtime.device import describe

        machine, alike = session.on, self.micro_batch.accumulation is not None
        gpu = describe().get("gpu") if machine.device == "cuda" else None
        return Facts(
            Places.of(session.work.model.graph),
            self.micro_batch.load if alike else None,
            2 if machine.dtype == "bfloat16" else 4,
            machine.device,
            machine.dtype,
            *fitting(gpu, self.wanted.on),
        )

    def _trace_path(self) -> Path:
        """As TensorBoard's plugin looks for it: a folder a run, and in it WORKER.TIME.pt.trace.json."""
        folder = self.wanted.folder / self.way
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{WORKER}.{time.time_ns()}.pt.trace.json"


def _steps(session: Session, count: int, trace: Any = None) -> float:
    """Seconds of so many steps, to their very end."""
    from torch.autograd.profiler import record_function

    begun = time.perf_counter()
    for _ in range(count):
        if (
            session.trainer.step == session.steps
        ):  # a stage shorter than what is looked at has its schedule again
            session.trainer.step = 0
        with record_function(STEP):
            session.learn()
            _wait(session)
        if trace is not None:
            trace.step()
    return time.perf_counter() - begun


def _wait(session: Session) -> None:
    import torch

    if session.on.device == "cuda":
        torch.cuda.synchronize()
    elif session.on.device == "mps":
        torch.mps.synchronize()
