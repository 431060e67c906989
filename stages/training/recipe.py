"""What a stage trains with: its settings that name an optimizer and change it, and the optimizer settled for a run.

    horizon(settings, compiled)                      # steps and tokens of a step: the stage's, or the optimizer's
    recipe = settle(settings, compiled)
    recipe.schedule, recipe.optimizer(model, dtype)  # what training takes

Knows nothing of data or of the training loop; imports torch only where an optimizer is made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.optimizer import settle as settling
from nanogen.optimizer.laws import Law, read_law
from nanogen.optimizer.settle import Horizon, Settled, SettledGroup
from nanogen.optimizer.spec import AdamWTable, MuonTable, OptimizerSpec, changed, read_optimizer
from nanogen.shelf import find
from nanogen.structure import Formulas
from nanogen.text.diagnostics import Diagnostic, Refusal, Stop
from nanogen.text.document import Document, read_document
from runtime.faults import Fault
from runtime.ranks import ALONE, Joined, Ranks
from stages.choices import at_least, setting

if TYPE_CHECKING:
    from torch import nn

    from nanogen.compiler import Compiled
    from runtime.optimizer import Optimizer, Rule
    from runtime.schedule import Schedule
    from runtime.sharded import ShardedOptimizer
    from runtime.weight_shards import WeightShards

CHANGES = ("rates", "decays", "schedule")  # settings that give the optimizer other laws


@frozen
class Tuned:
    """Settings of a stage that trains; a kind of stage takes them up as `class Settings(Tuned)`."""

    optimizer: str = setting(
        "the optimizer: a name that ships, or a file, counting from the run file",
        default="muon_adamw_2025",
        kw_only=True,
    )
    rate_scale: float = setting(
        "what all learning rates are multiplied by", default=1.0, validator=at_least(0), kw_only=True
    )
    rates: Formulas | None = setting(
        "other laws of learning rates, by the optimizer's groups", default=None, kw_only=True
    )
    decays: Formulas | None = setting(
        "other laws of weight decay, by the optimizer's groups", default=None, kw_only=True
    )
    schedule: Formulas | None = setting(
        "other laws of the optimizer's schedule, by their names there", default=None, kw_only=True
    )


class Opened(str):
    """The name of an optimizer as the run has it, with the file that it stands for."""

    document: Document

    def __new__(cls, name: str, document: Document) -> Opened:
        made = super().__new__(cls, name)
        made.document = document
        return made


def opened(name: str, folder: Path | None = None) -> Opened:
    """Find an optimizer, beside the run file first, and read its text; raises Refusal."""
    if isinstance(name, Opened):
        return name
    document, faults = read_document(find(name, "optimizer", beside=folder), name)
    if faults:
        raise Refusal(faults, document)
    return Opened(name, document)


def digest(settings: Tuned) -> str:
    """What the optimizer's file says, for the identity of a stage; its comments say nothing."""
    told = json.dumps(opened(settings.optimizer).document.data, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def spec_of(settings: Tuned) -> OptimizerSpec:
    """The optimizer with the stage's changes; Refusal for faults of its file, Fault for those of the changes."""
    document = opened(settings.optimizer).document
    spec, found = read_optimizer(document)
    if spec is None:
        raise Refusal(found, document)
    with told(spec):
        laws = {setting: _laws(settings, setting) for setting in CHANGES}
    spec, found = changed(spec, **laws)
    for fault in found:
        raise _blamed(fault, spec)
    return spec


def _laws(settings: Tuned, setting: str) -> dict[str, Law]:
    given = getattr(settings, setting) or {}
    return {name: read_law(value, ("with", setting, name)) for name, value in given.items()}


@contextmanager
def told(spec: OptimizerSpec) -> Iterator[None]:
    """Turn a law's fault into a refusal of the optimizer's file, or a fault of the setting that changed the law."""
    try:
        yield
    except Stop as stop:
        if stop.diagnostic is None:
            raise
        raise _blamed(stop.diagnostic, spec) from None


def _blamed(fault: Diagnostic, spec: OptimizerSpec) -> Fault | Refusal:
    if fault.place.path[:1] == ("with",):
        _, setting, name = fault.place.path
        return Fault(f"`{setting}` has `{name}`: {fault.message}", fault.help)
    changed_schedule = any(law.path[:1] == ("with",) for law in spec.schedule.values())
    if fault.place.path[:1] == ("schedule",) and changed_schedule:  # as it ships it holds
        return Fault(f"`schedule` makes another one: {fault.message}", fault.help)
    if fault.place.path == ("group",):  # what the model has and the file lacks is no line of the file
        return Fault(f"`optimizer`: {fault.message}", fault.help)
    return Refusal([fault], spec.document)


# -- settled for a run


def horizon(settings: Any, compiled: Compiled) -> Horizon:
    """Tokens of a step and steps of the run: the stage's own, or the optimizer's."""
    spec = spec_of(settings)
    with told(spec):
        return settling.horizon(
            spec,
            settling.facts(compiled.graph, spec),
            tokens=settings.tokens,
            tokens_per_parameter=settings.tokens_per_parameter,
            batch_tokens=settings.batch_tokens,
            steps=settings.steps,
        )


def fixed(steps: int, batch_tokens: int, compiled: Compiled) -> Horizon:
    """The horizon of a run whose steps are known."""
    tokens = steps * batch_tokens
    return Horizon(tokens, tokens / compiled.blueprint["count"], batch_tokens, steps)


@frozen
class Recipe:
    """An optimizer and a schedule with all numbers known."""

    settled: Settled
    schedule: Schedule
    rate_scale: float

    @property
    def rules(self) -> list[Rule]:
        return [_rule(group, self.rate_of(group)) for group in self.settled.groups]

    def rate_of(self, group: SettledGroup) -> float:
        """The learning rate of a group, before the schedule's multiplier."""
        return group.rate * self.rate_scale

    def optimizer(
        self, model: nn.Module, dtype: str, ranks: Ranks = ALONE, shards: WeightShards | None = None
    ) -> Optimizer | ShardedOptimizer:
        """The optimizer of a model's parameters; `dtype` is what Muon's iteration is computed in."""
        from runtime.optimizer import Entry, Optimizer

        of = {path: group.name for group in self.settled.groups for path in group.paths}
        entries = [Entry(path, of[path], tensor) for path, tensor in model.named_parameters()]
        if shards is not None:
            from runtime.shard_steps import ShardSteps

            return ShardSteps(entries, self.rules, shards, dtype=dtype)
        if isinstance(ranks, Joined):
            from runtime.sharded import ShardedOptimizer

            return ShardedOptimizer(entries, self.rules, ranks, dtype=dtype)
        return Optimizer(entries, self.rules, dtype=dtype)


def settle(settings: Any, compiled: Compiled, length: Horizon | None = None) -> Recipe:
    """Settle the stage's optimizer for a model and a run; raises Refusal or Fault.

    `length` is how long the run is where the data says so, not the settings.
    """
    from runtime.schedule import Schedule

    spec, length = spec_of(settings), length or horizon(settings, compiled)
    with told(spec):
        found = settling.settle(spec, compiled.graph, length)
        schedule = Schedule(length.steps, found.rate, found.momentum, found.decay)
    _check_groups(settings, found)
    for parameter in compiled.blueprint["parameters"]:
        _check_matrix(found, parameter["path"], parameter["shape"])
    return Recipe(found, schedule, settings.rate_scale)


def _check_groups(settings: Tuned, settled: Settled) -> None:
    """A rate or a decay of a group that takes nothing of this model would change nothing."""
    filled = {group.name for group in settled.groups if group.paths}
    for changes in ("rates", "decays"):
        for name in (getattr(settings, changes) or {}).keys() - filled:
            message = f"`{changes}` has `{name}`, and the model has no parameter of that group"
            raise Fault(message, f"groups that have some: {', '.join(f'`{one}`' for one in sorted(filled))}")


def _check_matrix(settled: Settled, path: str, shape: list[int]) -> None:
    muon = next((g for g in settled.groups if isinstance(g.table, MuonTable) and path in g.paths), None)
    if muon is not None and len(shape) != 2:
        message = f"`optimizer` moves `{path}` in the group `{muon.name}`: Muon moves matrices, and it has {len(shape)} axes"
        raise Fault(message, "give it another role in the spec: `role=vector`")


def _rule(group: SettledGroup, rate: float) -> Rule:
    from runtime.muon import Variant
    from runtime.optimizer import AdamW, Rule

    table = group.table
    if isinstance(table, MuonTable):
        assert group.scale is not None
        same = ("orthogonalize", "iterations", "equalize", "renormalize", "variance_beta", "cautious")
        method = Variant(**{name: getattr(table, name) for name in same}, scale=group.scale)
    else:
        assert isinstance(table, AdamWTable)
        method = AdamW(betas=(table.betas[0], table.betas[1]), eps=table.eps)
    return Rule(group.name, rate, method, group.decay)
