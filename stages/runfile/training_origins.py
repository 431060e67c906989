"""Where the numbers of a stage that trains come from: how long it is, how its batches are cut, its rates by law.

Every number is the one that the stage computes with: from `horizon` and `micro_batch` of its kind, and from its recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
from attrs import frozen

from nanogen.language.expression import Number
from nanogen.optimizer import settle as settling
from nanogen.optimizer.laws import Law, Scope, names_of, reached
from nanogen.optimizer.settle import Horizon
from nanogen.optimizer.spec import BatchTable, GroupTable, MuonTable, OptimizerSpec
from nanogen.optimizer.words import HORIZON, RUN, STEP
from nanogen.text.document import Document
from nanogen.text.locate import KeyPath
from stages.runfile.load import Run, Stage
from stages.runfile.machine import here
from stages.runfile.origin import Origin, shown
from stages.training import recipe
from stages.training.fitting import why as why_rows

Lines = Callable[[Document, KeyPath], str]
LONG = (*HORIZON, *RUN)  # what is not known before a mixture is rendered


def origins_of_training(run: Run, stage: Stage, line_of: Lines) -> Iterator[Origin]:
    """What a stage that trains settles for itself: those of its settings that say nothing, and what follows from them."""
    assert stage.compiled is not None, stage.name
    settings, kind = stage.settings, stage.kind
    length: Horizon = kind.horizon(settings, stage.compiled)  # pyright: ignore[reportAttributeAccessIssue]
    spec = recipe.spec_of(settings)
    scope = settling.scope_of(spec, stage.compiled.graph, length)
    of = _Of(
        run,
        stage,
        spec,
        scope,
        line_of,
        settings.steps is not None or hasattr(settings, "tokens_per_parameter"),
    )
    yield from _how_long(of, length)
    yield from _batches(of, length)
    yield from _rates(of, length)


@frozen
class _Of:
    """A stage at hand, with what its laws read."""

    run: Run
    stage: Stage
    spec: OptimizerSpec
    scope: Scope
    line_of: Lines
    settled: bool  # whether it is known how many steps there are

    def derived(self, key: str, value: Any, why: str, where: str = "") -> Origin:
        return Origin(f"{self.stage.name}.{key}", value, "derived", why, where)

    def place(self, law: Law) -> str:
        """The line of a law: of the run file, where the stage gives another than the optimizer's."""
        if law.path[:1] == ("with",):
            if law.path[1] in self.run.document.data["stage"][self.stage.name].get("with", {}):
                return self.line_of(self.run.document, ("stage", self.stage.name, *law.path))
            return f"{self.stage.kind.__name__.replace('.', '/')}.py"  # pyright: ignore[reportAttributeAccessIssue]
        return self.line_of(self.spec.document, law.path)

    def text(self, law: Law) -> str:
        """A law as it is written."""
        first, *rest = law.path
        if first == "with":
            return str(getattr(self.stage.settings, rest[0])[rest[1]])
        table = self.spec.document.data.get(first, {})
        for key in rest[:-1]:
            table = table.get(key, {})
        return str(table[rest[-1]] if rest[-1] in table else _default(first, rest[-1]))

    def by(self, law: Law) -> str:
        """`by ... with ...`: a law, and the numbers that it read, those of `[let]` with their own laws."""
        if isinstance(law.expression, Number):
            return "the run's" if law.path[:1] == ("with",) else "the optimizer's"
        read = sorted(self.read(law) - {"true", "false", "pi"})
        laws = {name: f"`{self.text(self.spec.let[name])}` = " for name in read if name in self.spec.let}
        numbers = [f"{name} = {laws.get(name, '')}{shown(self.scope.read(name, law))}" for name in read]
        return f"by `{self.text(law)}`" + (f" with {', '.join(numbers)}" if numbers else "")

    def waits(self, law: Law) -> bool:
        """Whether a law reads how long the stage is, which its mixture will say."""
        return not self.settled and not self.read(law).isdisjoint(LONG)

    def read(self, law: Law) -> set[str]:
        """Whatever a law reads, itself or by laws of `[let]` and of the schedule."""
        laws = self.spec.let | (self.spec.schedule if law in self.spec.schedule.values() else {})
        return names_of(law).union(*(names_of(laws[name]) for name in reached(laws, law)))


def _default(section: str, key: str) -> Any:
    """The law that holds where the optimizer's file has none."""
    if section == "batch":
        return attrs.fields_dict(BatchTable)[key].default
    return attrs.fields_dict(MuonTable if key == "step" else GroupTable)[key].default


def _how_long(of: _Of, length: Horizon) -> Iterator[Origin]:
    settings, spec = of.stage.settings, of.spec
    if settings.steps is None and of.settled:
        yield of.derived("steps", length.steps, of.by(spec.steps), of.place(spec.steps))
    elif settings.steps is None:
        why = f"{shown(settings.epochs)} times through the mixture: known once that is rendered"
        yield of.derived("steps", None, why)
    if hasattr(settings, "tokens_per_parameter") and settings.tokens_per_parameter is None:
        where = of.line_of(spec.document, ("batch", "tokens_per_parameter"))
        yield of.derived("tokens_per_parameter", length.tokens_per_parameter, "the optimizer's", where)
    if hasattr(settings, "tokens_per_parameter") and settings.tokens is None:
        why = (
            f"{shown(length.tokens_per_parameter)} tokens for each of {shown(length.counted)} parameters that count "
            f"(`{of.text(spec.parameters)}`); laws read it"
        )
        yield of.derived("tokens", length.tokens, why, of.place(spec.parameters))
    if of.settled:
        why = f"{shown(length.steps)} steps of {shown(length.batch_tokens)} tokens"
        yield of.derived("trained_tokens", length.steps * length.batch_tokens, why)


def _batches(of: _Of, length: Horizon) -> Iterator[Origin]:
    settings, compiled = of.stage.settings, of.stage.compiled
    step = of.stage.kind.micro_batch(settings, compiled, here(of.run.hardware))  # pyright: ignore[reportAttributeAccessIssue]
    rows, tokens = step.load.rows, step.load.tokens
    if not hasattr(settings, "batch_tokens"):
        why = f"{settings.questions} questions, {settings.samples} answers each, {settings.tokens} tokens an answer at most"
        yield of.derived("batch_tokens", length.batch_tokens, why)
        return
    if settings.batch_tokens is None:
        law = of.spec.batch_tokens
        yield of.derived("batch_tokens", length.batch_tokens, of.by(law), of.place(law))
    if settings.length is None:
        yield of.derived("length", tokens, "the model's context")
    if settings.rows is None:
        yield of.derived("rows", rows, why_rows(step))
    why = f"{shown(length.batch_tokens)} tokens of a step in micro-batches of {rows} rows of {shown(tokens)}"
    yield of.derived("accumulation", step.accumulation, why)


def _rates(of: _Of, length: Horizon) -> Iterator[Origin]:
    """Rates and decays by group, and the laws of the schedule."""
    made = recipe.settle(of.stage.settings, of.stage.compiled, length)  # pyright: ignore[reportArgumentType]
    taken = {group.name: len(group.paths) for group in made.settled.groups}
    rules, scale = {group.name: group for group in made.settled.groups}, made.rate_scale
    for group in of.spec.groups:
        if not taken[group.name]:
            continue
        tensors = f"{taken[group.name]} tensor{'s' if taken[group.name] > 1 else ''}"
        rate = None if of.waits(group.rate) else made.rate_of(rules[group.name])
        times = f", times `rate_scale` {shown(scale)}" if scale != 1 else ""
        later = "; known once the mixture is rendered" if rate is None else ""
        said = f"by `{of.text(group.rate)}`" if rate is None else of.by(group.rate)
        why = f"{said}{times}{later}; {tensors}"
        yield of.derived(f"lr.{group.name}", rate, why, of.place(group.rate))
        decay = None if of.waits(group.decay) else rules[group.name].decay
        why = (
            of.by(group.decay)
            if decay is not None
            else f"by `{of.text(group.decay)}`; known once the mixture is rendered"
        )
        yield of.derived(f"weight_decay.{group.name}", decay, why, of.place(group.decay))
    for name, law in of.spec.schedule.items():
        moving = not of.read(law).isdisjoint(STEP)
        laws = Scope(of.scope.numbers, of.spec.let, of.spec.schedule)
        value = of.text(law) if moving else None if of.waits(law) else laws.compute(law)
        plain = of.by(law) if isinstance(law.expression, Number) else f"by `{of.text(law)}`"
        why = "computed at each step" if moving else plain
        yield of.derived(f"schedule.{name}", value, why, of.place(law))
