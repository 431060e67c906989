"""A run's plan on some hardware: what each stage takes, what will not fit, and what it comes to in all.

    plan = make_plan(run, target(run.hardware, "h100x8"))
    plan.stages[3].training.step.load.rows      # what `run` computes at once there

The total batch, the steps and the schedule are those of the run file, whatever the hardware. Numbers are those that
stages compute with, and those of the graph. Imports no torch, and asks nothing of the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import evolve, field, frozen

from nanogen.answers.flops import training
from nanogen.answers.memory import WIDE, Ledger
from nanogen.compiler import Compiled
from nanogen.load import Load
from nanogen.views.figures import bytes_text
from stages.data.place import data_folder
from stages.planning.effort import (
    Effort,
    Found,
    beside_training,
    conversations,
    of_base_evaluation,
    of_chat_evaluation,
)
from stages.planning.proposals import GROWTH, Change, changes, joined
from stages.planning.target import Target
from stages.runfile.load import Run, Stage
from stages.training.fitting import room, why_sharded
from stages.training.float8 import Planned, planned
from stages.training.footprint import MEMORY, Footprint, MicroBatch, together
from stages.training.pace import sizes


@frozen
class Training:
    """The steps of a stage, and one micro-batch against the memory of a device."""

    steps: int | None  # None: known once its mixture is rendered
    at_most: bool  # of the steps
    batch_tokens: int
    step: MicroBatch
    ledger: Ledger
    step_flops: float
    dtype: str  # that is asked for
    fits: bool
    next_rows: int | None = None  # what would come next, did it fit
    next_ledger: Ledger | None = None
    changes: tuple[Change, ...] = ()
    float8: Planned = field(factory=Planned)
    rows: int = 0  # that a device has at once
    passes: int = 0  # micro-batches that a device computes in a step
    width: int = WIDE  # bytes of a number in what is computed in
    weights: str = ""  # why they lie in parts over the devices, where they do

    @property
    def length(self) -> int:
        return self.step.load.tokens

    @property
    def sent(self) -> int:
        """Bytes that a device hands to the others in a step: gradients to where they are summed, weights back.

        Where weights lie in parts, its own go out before each forward and each backward, in the dtype that layers
        compute in, gradients behind each; and parts of both to where matrices are moved, and back.
        """
        devices, own = self.step.together, self.ledger.weights
        if self.step.sharded:
            each = (devices - 1) * (own * 2 * self.width // WIDE + self.ledger.gradients)
            return self.passes * each + 3 * own
        return (self.ledger.gradients + own) * (devices - 1) // devices


@frozen
class StagePlan:
    """What one stage takes; hours are None where the speed is not known or nothing was counted."""

    name: str
    uses: str
    model: Compiled | None
    training: Training | None
    efforts: tuple[Effort, ...]
    left_out: tuple[str, ...]
    disk: Footprint | None
    flops: float
    tokens: float
    hours: float | None
    at_most: bool  # all that was counted is a bound


@frozen
class Data:
    """What a run reads from outside: files, those of them that are not here, and bytes as far as they are known."""

    files: int
    missing: int
    bytes: int
    unknown: int  # files of which no size is known
    faults: tuple[str, ...] = ()


@frozen
class Plan:
    run: str
    target: Target
    stages: tuple[StagePlan, ...]
    disk: Footprint
    data: Data
    warnings: tuple[tuple[str, str], ...] = ()  # stages, and what is wrong there
    of_all: Change | None = None  # of the model that stages share, beside what is to be changed of each

    @property
    def trained(self) -> list[StagePlan]:
        return [stage for stage in self.stages if stage.training is not None]

    def hours(self, *, at_most: bool) -> float | None:
        """Those that are counted, or with those that are bounded."""
        found = [s.hours for s in self.stages if s.hours is not None and (at_most or not s.at_most)]
        return sum(found) if found else None

    @property
    def fits(self) -> bool:
        return all(stage.training.fits for stage in self.trained if stage.training is not None)


def make_plan(run: Run, target: Target) -> Plan:
    """Plan every stage; a stage whose settings do not hold raises Fault."""
    stages, of_all = _for_all(run, tuple(_stage(run, stage, target) for stage in run.stages), target)
    kept = together(stage.disk for stage in stages if stage.disk is not None)
    return Plan(run.name, target, stages, kept, _data(run), tuple(_warnings(stages, target)), of_all)


def _for_all(
    run: Run, stages: tuple[StagePlan, ...], target: Target
) -> tuple[tuple[StagePlan, ...], Change | None]:
    """One size for all that share a model, in place of one for each."""
    own = {s.name: list(s.training.changes) for s in stages if s.training is not None}
    of_all = joined([(run.stage(name), found) for name, found in own.items()], target.on)
    if of_all is None:
        return stages, None
    changed = (
        evolve(s, training=evolve(s.training, changes=tuple(own[s.name]))) if s.training is not None else s
        for s in stages
    )
    return tuple(changed), of_all


def _stage(run: Run, stage: Stage, target: Target) -> StagePlan:
    trained = hasattr(stage.kind, "micro_batch") and stage.compiled is not None
    training_plan = _training(run, stage, target) if trained else None
    efforts, left_out = _efforts(stage, training_plan)
    devices = training_plan.step.together if training_plan is not None else 1
    disk = stage.kind.disk(stage.settings, stage.compiled) if hasattr(stage.kind, "disk") else None  # pyright: ignore[reportAttributeAccessIssue]
    taken = [target.taken(effort, devices) for effort in efforts]
    known = [hours for hours in taken if hours is not None]
    return StagePlan(
        stage.name,
        stage.uses,
        stage.compiled if trained else None,
        training_plan,
        efforts,
        left_out,
        disk,
        sum(effort.flops for effort in efforts),
        sum(effort.tokens for effort in efforts),
        sum(known) if known else None,
        all(effort.at_most for effort in efforts) if efforts else False,
    )


def _efforts(stage: Stage, found: Training | None) -> tuple[tuple[Effort, ...], tuple[str, ...]]:
    if found is not None:
        beside = beside_training(stage, found.steps)
        if found.steps is None:
            _, unknown = conversations(stage.settings.tasks)
            named = ", ".join(f"`{label}`" for label in unknown)
            has = "has" if len(unknown) == 1 else "have"
            why = f"its steps, {found.step_flops:.2e} FLOPs each: how many rows {named} {has} is known once here"
            return beside.efforts, (why, *beside.left_out)
        tokens = found.steps * found.batch_tokens
        what = f"{found.steps:,} steps of {found.batch_tokens:,} tokens"
        own = Effort(
            what,
            found.steps * found.step_flops,
            tokens,
            stage.settings.dtype,
            found.at_most,
            parts=stage.settings.questions if found.step.accumulation is None else None,
            sent=found.steps * found.sent,
            float8=found.float8.share,
        )
        return (own, *beside.efforts), beside.left_out
    if stage.uses == "evaluate_base":
        other: Found = of_base_evaluation(stage)
    elif stage.uses == "evaluate_chat":
        other = of_chat_evaluation(stage)
    else:
        other = Found()  # text, which no model reads
    return other.efforts, other.left_out


# -- training


def _training(run: Run, stage: Stage, target: Target) -> Training:
    settings, compiled, kind = stage.settings, stage.compiled, stage.kind
    assert compiled is not None, stage.name
    step: MicroBatch = kind.micro_batch(settings, compiled, target.on)  # pyright: ignore[reportAttributeAccessIssue]
    steps, at_most = _steps(stage, step)
    width = target.on.bytes_of(settings.dtype)
    ledger = step.ledger(compiled, width)
    found = Training(
        steps,
        at_most,
        _batch_tokens(stage, step),
        step,
        ledger,
        _step_flops(stage, step),
        settings.dtype,
        ledger.total <= room(target.on),
        float8=planned(stage.name, settings, target.on, compiled.graph, step.load.tokens),
        rows=step.rows_at_once(compiled),
        passes=step.passes(compiled),
        width=width,
    )
    if step.sharded:
        why = why_sharded(step, compiled, settings.dtype, settings.weights, target.on)
        found = evolve(found, weights=why)
    if step.bound == MEMORY:
        rows = next(n for n in sizes(step.own_rows) if n > step.load.rows)
        larger = evolve(step, load=evolve(step.load, rows=rows), accumulation=step.own_rows // rows)
        found = evolve(found, next_rows=rows, next_ledger=larger.ledger(compiled, width))
    if not found.fits:
        own = not {*GROWTH}.isdisjoint(run.document.data["stage"][stage.name].get("set", {}))
        found = evolve(found, changes=tuple(changes(stage, target.on, own=own)))
    return found


def _batch_tokens(stage: Stage, step: MicroBatch) -> int:
    if step.accumulation is None:
        return stage.settings.questions * stage.settings.samples * stage.settings.tokens
    return step.own_rows * step.devices * step.load.tokens


def _step_flops(stage: Stage, step: MicroBatch) -> float:
    """Forward and backward of a whole step, over all devices; dials stand at their defaults."""
    assert stage.compiled is not None, stage.name
    settings = stage.settings
    if step.accumulation is None:  # answers, without their prompts
        rows = settings.questions * settings.samples
        return rows * _row_flops(stage.compiled, min(settings.tokens, stage.compiled.graph.context))
    return step.own_rows * step.devices * _row_flops(stage.compiled, step.load.tokens)


def _row_flops(compiled: Compiled, tokens: int) -> float:
    return training(compiled.graph, Load(1, tokens)).matmul


def _steps(stage: Stage, step: MicroBatch) -> tuple[int | None, bool]:
    """Steps of a stage, and whether they are only a bound: packing puts several conversations in a row."""
    settings: Any = stage.settings
    if settings.steps is not None:
        return settings.steps, False
    if stage.uses == "pretrain":
        return stage.kind.horizon(settings, stage.compiled).steps, False  # pyright: ignore[reportAttributeAccessIssue]
    count, _ = conversations(settings.tasks)
    if count is None:
        return None, False
    each = settings.questions if step.accumulation is None else step.own_rows * step.devices
    return max(1, int(settings.epochs * count) // each), True


# -- around


def _warnings(stages: tuple[StagePlan, ...], target: Target) -> Iterator[tuple[str, str]]:
    for stage in stages:
        plan = stage.training
        if plan is None:
            continue
        if max(plan.step.devices, plan.step.ranks) < target.on.devices and plan.step.accumulation is not None:
            share = f"{plan.step.devices} of {target.on.devices} devices share a step of `{stage.name}`"
            yield (
                stage.name,
                f"{share}: its {plan.step.own_rows * plan.step.devices} rows do not split over more",
            )
        if not plan.fits:
            least = " even" if plan.step.load.rows == 1 else ""
            yield (
                stage.name,
                f"`{stage.name}` does not fit{least} at {rows_text(plan.step.load.rows)} of {plan.length:,}: it takes "
                f"{bytes_text(plan.ledger.total)}, and a step may take {bytes_text(room(target.on))}",
            )


def rows_text(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _data(run: Run) -> Data:
    from stages.data.plan import HERE as HERE_ALREADY
    from stages.preflight.fetching import plan_here, wanted_of

    wanted = wanted_of(run)
    items = plan_here(wanted.needs, data_folder())
    missing = [item for item in items if item.state != HERE_ALREADY]
    return Data(
        len(items),
        len(missing),
        sum(item.disk for item in items),
        sum(item.size is None for item in items),
        tuple(fault.message for fault in wanted.faults),
    )
