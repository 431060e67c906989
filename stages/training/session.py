"""The loop of a training stage, from its start or its newest save to its end: steps, saves, evaluations, log.

Saves come on a clock and before every evaluation, so that nothing that may fail costs what was learnt. Knows
nothing of where batches come from, nor of what an evaluation measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, evolve, field

from nanogen.answers.flops import training
from nanogen.load import Load
from runtime.faults import is_out_of_memory
from runtime.stopping import Stopped
from stages.training.at_once import EVALUATING, EVALUATION, NAME, SAMPLING, STEP, AtOnce, Moment
from stages.training.bad_step import last_save_told
from stages.training.fit import Way, device_of, fall_back, make_step, probe, take, ways_of_rows
from stages.training.float8 import Choice, settle
from stages.training.footprint import BEGUN, MEMORY, NOTHING, SAID, MicroBatch
from stages.training.pace import MOST_ROWS, Pace, sizes
from stages.training.waiting import Waiting, advice

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from runtime.checkpoint import Save
    from runtime.device import Machine
    from runtime.metrics import Metrics
    from runtime.training import StepResult, Trainer
    from stages.work import Work

LOGGED_EVERY = 10  # steps, where a step takes a moment
GROUPS = ("weights", "optimizer", "loader")

Figures = dict[str, float]  # what an evaluation found, by name


@define(eq=False)
class Session:
    """One training stage at work. `first` and `last` are what its evaluations found at the start and lately."""

    work: Work
    evaluate_every: int  # steps; 0: at the start and the end only
    save_minutes: float
    save: Save | None
    metrics: Metrics
    clock: Metrics  # what a clock measured of the same events
    steps: int = field(default=0, init=False)
    logged_every: int = field(default=LOGGED_EVERY, init=False)  # steps
    trainer: Trainer = field(init=False)
    on: Machine = field(init=False)
    learn: Callable[[], StepResult] = field(init=False)  # makes one step
    measure: Callable[[], Figures] = field(init=False)  # what an evaluation finds; logged under its names
    told: Callable[[Figures], str] = field(init=False)  # the same in words
    count: Callable[[StepResult], int] = field(init=False)  # FLOPs of a step
    seconds: float = field(default=0.0, init=False)  # of training steps, over all parts of the run
    waiting: Waiting = field(factory=Waiting, init=False)  # of those seconds
    flops: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)  # supervised ones that were learnt from
    noted: Figures = field(factory=dict, init=False)  # what else the log says of a step
    first: Figures = field(factory=dict, init=False)
    last: Figures = field(factory=dict, init=False)
    rows: int | None = field(default=None, init=False)  # of a micro-batch, where those are all alike
    load: Load | None = field(default=None, init=False)  # of a micro-batch, where those are all alike
    float8: Choice = field(default=Choice(), init=False)
    kept: AtOnce | None = field(default=None, init=False)  # what an earlier start found to fit
    at_once: AtOnce = field(init=False)
    moment: Moment = field(default=(0, EVALUATING), init=False)
    ways: dict[str, Way] = field(factory=dict, init=False)  # what may have to be computed in smaller pieces
    compiled: Compiled = field(init=False)
    best: Figures = field(factory=dict, init=False)  # its step, and what was judged by
    saved_at: float = field(factory=time.monotonic, init=False)

    @classmethod
    def begin(cls, work: Work) -> Session:
        """Find out how far the stage has come: its newest whole save, and the log."""
        from runtime.checkpoint import newest_save
        from runtime.metrics import CLOCK, METRICS, Metrics, Unheard

        with work.ranks.leader_first():  # one that is broken is put aside by the first
            save = newest_save(work.saves, work.tell.line)
            kept = AtOnce.read(work.saves / NAME)
        log = Metrics if work.ranks.leads else Unheard
        settings, logs = work.settings, (log(work.folder / name) for name in (METRICS, CLOCK))
        made = cls(work, settings.evaluate_every, settings.save_minutes, save, *logs)
        made.kept = kept
        return made

    @property
    def begun_in(self) -> str | None:
        """A run goes on in the dtype it began with, whatever this machine would choose."""
        return self.save.state["dtype"] if self.save else None

    def machine(self, compiled: str) -> Machine:
        """What to compute with, as asked or as the run began; told once."""
        from runtime.device import machine, ready_to_train

        ready_to_train()
        because = "as the run began" if self.begun_in else "as asked"
        wanted = self.begun_in or self.work.settings.dtype
        chosen = machine(dtype=wanted, compiled=compiled, because=because)
        self.work.tell.line(chosen.why)
        return chosen

    def cut_as_begun(self, step: MicroBatch) -> MicroBatch:
        """Rows change the bits of sums: a run goes on with those it began with, unless its file says others.

        Where the memory no longer holds those, it has fewer, and says so. What it has found to fit, it need not find
        out again, unless its file has said others since.
        """
        if step.sharded:
            self.work.tell.line(
                f"weights sharded over {step.ranks} ranks: a layer is whole while it computes"
            )
        rows, said = step.load.rows, step.bound == SAID
        sizes_now = self.take_up({STEP: rows, EVALUATION: rows}, said=said)
        if sizes_now is self.kept:
            rows = self.size(STEP)
        elif self.save is not None and not said:
            rows = self.save.state.get("rows", sizes(step.own_rows, MOST_ROWS)[-1])  # or as it was before
        if rows > step.load.rows and step.bound in (MEMORY, NOTHING):
            told = f"{step.load.rows} rows at once, where the run began with {rows}: no more fit the memory"
            self.work.tell.line(f"{told}, so the last bits of sums are others")
            sizes_now.fall(STEP, self.moment, step.load.rows)
            sizes_now.due(self.moment)
        elif step.own_rows % rows == 0 and rows != step.load.rows:
            load, accumulation = evolve(step.load, rows=rows), step.own_rows // rows
            step = evolve(step, load=load, accumulation=accumulation, bound=BEGUN)
        self.rows, self.load = step.load.rows, step.load
        if sizes_now is not self.kept:
            sizes_now.planned |= {STEP: self.rows, EVALUATION: self.rows}
        return step

    def take_up(self, planned: dict[str, int], *, said: bool) -> AtOnce:
        """What is computed at once: as it is planned, or as an earlier start of the same plan found it to fit.

        What another device found counts only once there is a save that was computed so.
        """
        self.moment = (self.save.step if self.save is not None else 0, EVALUATING)
        self.at_once = AtOnce(self.work.saves / NAME, planned)
        if self.kept is not None:
            others = said and self.kept.planned != planned
            elsewhere = self.kept.probed and self.kept.probed != device_of(self.work)
            if not others and not (elsewhere and self.save is None):
                self.at_once = self.kept
            elif self.work.ranks.leads:
                self.at_once.write()
        self.at_once.begin(self.moment)
        return self.at_once

    def size(self, what: str) -> int:
        """How much is computed at once now."""
        return self.at_once.size(what, self.moment)

    def reach(self, phase: int) -> None:
        """Come to a moment, and to what changes with it."""
        self.moment = (self.trainer.step, phase)
        changes = self.at_once.due(self.moment)
        with_step = {change.moment for change in changes if change.what == STEP}
        for change in changes:  # that evaluations follow the step needs no saying
            take(self, change, told=change.what != EVALUATION or change.moment not in with_step)

    def prepare(self, trainer: Trainer, machine: Machine, steps: int, compiled: Compiled) -> None:
        """Take a trainer as new, and bring it to where the save was made."""
        self.trainer, self.steps, self.on = trainer, steps, machine
        trainer.rows = self.rows or 0
        begun = self.save.state.get("float8", False) if self.save else None
        self.float8 = settle(self.work, trainer, compiled, begun=begun, load=self.load)
        if self.save is None:
            self.metrics.cut(0)
            self.clock.cut(0)
            return
        trainer.restore(self.save.step, {name: self.save.tensors(name) for name in GROUPS})
        state = self.save.state
        self.metrics.cut(state["metrics_bytes"])
        self.clock.cut(state.get("clock_bytes", 0))  # saves of before had no clock
        self.seconds, self.flops, self.tokens = state["seconds"], state["flops"], state["tokens"]
        self.waiting = Waiting(state.get("waited", 0.0))
        self.first, self.last, self.best = state["first"], state["last"], state["best"]
        self.work.tell.line(f"going on from the save at step {self.save.step:,} of {self.steps:,}")

    def fit(self, compiled: Compiled, length: int, *, evaluates: bool = True) -> None:
        """Say what a stage computes that learns from rows of one length."""
        self.compiled, self.ways = compiled, ways_of_rows(self, compiled, length, evaluates=evaluates)

    def paced(self, plan: Pace) -> Pace:
        """The plan as it came out."""
        return evolve(plan, rows=self.trainer.rows, accumulation=self.trainer.accumulation)

    # -- the loop

    def train(self) -> None:
        """Make all steps; whatever prepares batches ends with them, however they end."""
        try:
            self._train()
        finally:
            self.trainer.close()

    def _train(self) -> None:
        if self.work.instead is not None:
            return self.work.instead(self)
        trainer, steps = self.trainer, self.steps
        stop, name = self.work.stop, self.work.name
        if not self.metrics.size:
            self.log_begin()
        probe(self)
        if trainer.step == 0:
            self.evaluate()
            self.first = self.last
        elif trainer.step < steps and self.evaluation_due():
            self.evaluate()  # its save came first, so the evaluation itself was cut off
        with self.work.tell.bar("training", steps, trainer.step) as bar:
            while trainer.step < steps:
                with stop.held(), last_save_told(self.work):  # a step is made to its end, and saved
                    result = make_step(self)
                    self.log(result)
                    bar.advance(trainer.step, rates(result))
                    leaving, due, asked = self.agree(stop.now(name, trainer.step))
                    if leaving or due or trainer.step == steps:
                        self.write_save()
                if leaving:
                    self.work.tell.line(f"saved at step {trainer.step:,} of {steps:,}")
                    raise Stopped(asked)
                if trainer.step < steps and self.evaluation_due():
                    self.evaluate()
        self.evaluate()
        if self.work.ranks.leads or trainer.shards is not None:
            self.choose_weights()

    def choose_weights(self) -> None:
        """Take the weights that the evaluations found best, where the stage is to leave those."""
        from runtime.checkpoint import save_of

        if self.work.settings.keep == "last" or not self.best or self.best["step"] == self.steps:
            return
        step = int(self.best["step"])
        save = save_of(self.work.saves, step)
        if save is None:
            self.work.tell.line(
                f"the save of step {step:,}, the best, is not whole: the last weights are left"
            )
            return
        self.trainer.load(save.tensors("weights"))
        self.work.tell.line(f"the weights are those of step {step:,}, the best")

    def log(self, result: StepResult) -> None:
        self.seconds += result.seconds
        if (share := self.waiting.add(result.waited, result.seconds)) is not None:
            self.work.tell.line(advice(share, self.trainer.loader))
        self.tokens += result.tokens
        self.flops += self.count(result)
        if result.step % self.logged_every == 0 or result.step == self.steps - 1:
            self.metrics.log(
                kind="step",
                step=result.step,
                loss=round(result.loss, 6),
                tokens=self.tokens,
                rate=round(result.rate, 6),
                flops=self.flops,
                **{name: round(value, 6) for name, value in self.noted.items()},
                **({"dials": mean_dials(result.dials)} if result.dials[0] else {}),
            )
            per_second = round(result.tokens / result.seconds, 1)
            self.log_time("step", result.step, tokens_per_second=per_second, **self.waited())

    def log_begin(self) -> None:
        """What the log is of, for whoever watches it grow; said once, and not again by a run that goes on."""
        from runtime.device import describe

        self.metrics.log(
            kind="begin",
            steps=self.steps,
            parameters=sum(group.parameters for group in self.trainer.optimizer.groups),
            step_flops=self.step_flops(),
            device=self.on.device,
            gpu=describe().get("gpu") if self.on.device == "cuda" else None,
            dtype=self.on.dtype,
            **self.float8.logged,
        )

    def step_flops(self) -> int | None:
        """FLOPs of a step where all cost the same: no dial is drawn, and rows are as long as the loader's."""
        from runtime.training import StepResult

        trainer = self.trainer
        if trainer.dials or trainer.loader is None:
            return None
        return self.count(StepResult(0, 0.0, 0, 0.0, 1.0, ({},) * trainer.accumulation))

    def log_time(self, kind: str, step: int, **measured: float) -> None:
        at = round(time.time(), 3)
        self.clock.log(kind=kind, step=step, seconds=round(self.seconds, 3), at=at, **measured)

    def waited(self) -> dict[str, float]:
        """Seconds of the training steps that went to waiting for batches, where a loader makes them."""
        return {} if self.trainer.loader is None else {"waited": round(self.waiting.seconds, 3)}

    def evaluation_due(self) -> bool:
        return bool(self.evaluate_every) and self.trainer.step % self.evaluate_every == 0

    def due(self) -> bool:
        """Saves come on a clock, and always before an evaluation."""
        return self.evaluation_due() or time.monotonic() - self.saved_at > self.save_minutes * 60

    def agree(self, leaving: bool) -> tuple[bool, bool, int]:
        """Whether to leave, whether to save, and at which signal: what any rank was told, and by the clock of the first."""
        ranks = self.work.ranks
        due = self.due() if ranks.leads else False
        any_leaves, any_saves, asked = ranks.most(leaving, due, self.work.stop.asked)
        return bool(any_leaves), bool(any_saves), asked

    def write_save(self) -> None:
        """The first rank writes what all of them have, as one process would; the others wait for it."""
        from runtime.checkpoint import write_save

        with last_save_told(self.work):
            self.trainer.check_weights()
        self.metrics.sync()
        self.clock.sync()
        state = {
            "dtype": self.on.dtype,
            "metrics_bytes": self.metrics.size,
            "clock_bytes": self.clock.size,
            "seconds": self.seconds,
            "waited": self.waiting.seconds,
            "flops": self.flops,
            "tokens": self.tokens,
            "first": self.first,
            "last": self.last,
            "best": self.best,
            **({"rows": self.rows} if self.rows else {}),
            **self.float8.saved,
        }
        best = int(self.best["step"]) if self.best else None
        groups = self.trainer.groups()
        if self.work.ranks.leads:
            write_save(self.work.saves, self.trainer.step, groups, state, best)
        self.work.ranks.meet()
        self.saved_at = time.monotonic()

    def evaluate(self) -> None:
        found = self._found()
        if not found:
            return
        self.last = found
        self.judge()
        self.metrics.log(
            kind="validation",
            step=self.trainer.step,
            tokens=self.tokens,
            flops=self.flops,
            **{name: round(value, 6) for name, value in self.last.items()},
        )
        self.log_time("validation", self.trainer.step)
        self.work.tell.line(f"step {self.trainer.step:,}: {self.told(self.last)}")

    def _found(self) -> Figures:
        """What an evaluation finds, with fewer rows at once where memory is too small; nothing where one is too many."""
        self.reach(EVALUATING)
        while True:
            try:
                return self.measure()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # what was learnt is saved, and worth more than this
            what = EVALUATION if EVALUATION in self.ways else SAMPLING
            if what not in self.ways or not fall_back(self, what):
                line = f"step {self.trainer.step:,}: not evaluated, there is not enough memory for it"
                self.work.tell.line(line)
                return {}

    def judge(self) -> None:
        """Remember the best of the steps that were saved, by the first figure of the evaluations."""
        name, value = next(iter(self.last.items()))
        better = -value if name.startswith("pass_") else value
        if self.trainer.step and (not self.best or better < self.best["judged"]):
            self.best = {"step": self.trainer.step, "judged": better}

    def result(self) -> dict[str, Any]:
        """What every training stage leaves for later stages and the report."""
        from runtime.device import describe

        return {
            "steps": self.steps,
            "tokens": self.tokens,
            "flops": self.flops,
            "seconds": round(self.seconds, 2),
            **self.waited(),
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "groups": [attrs.asdict(g) for g in self.trainer.optimizer.groups],
            "environment": {**describe(), "device": self.on.device, "dtype": self.on.dtype}
            | self.float8.told,
            **({"best_step": int(self.best["step"])} if self.best else {}),
            **{
                name: {"start": self.first.get(name, value), "end": value}
                for name, value in self.last.items()
            },
        }


def rates(result: StepResult) -> str:
    return f"loss {result.loss:.3f}  {result.tokens / result.seconds:,.0f} tokens/s"


def flops_of_steps(compiled: Compiled, trainer: Trainer, length: int) -> Callable[[StepResult], int]:
    """Return the function that counts the exact FLOPs of the last step, each micro-batch where its dials stood."""

    @cache
    def count(rows: int, dials: tuple[tuple[str, int], ...]) -> int:
        return training(compiled.graph, Load(rows, length, dials=dict(dials))).matmul

    return lambda result: sum(count(trainer.rows, tuple(dials.items())) for dials in result.dials)


def mean_dials(dials: tuple[dict[str, int], ...]) -> dict[str, float]:
    """Where the dials of a step stood, over its micro-batches."""
    return {name: sum(d[name] for d in dials) / len(dials) for name in dials[0]}
