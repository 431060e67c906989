"""Make the trainer of a stage: the optimizer for the roles of the model's parameters, the schedule, the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from runtime.roles import REFERENCE_WIDTH

if TYPE_CHECKING:
    from torch import nn

    from nanogen.compiler import Compiled
    from runtime.device import Machine
    from runtime.schedule import Schedule
    from runtime.training import Batches, Trainer
    from stages.work import Work


@frozen
class Rates:
    """Learning rates by role, before the schedule and before they scale with the width."""

    embedding: float
    head: float
    matrix: float

    def times(self, scale: float) -> Rates:
        return Rates(self.embedding * scale, self.head * scale, self.matrix * scale)


def make_trainer(
    work: Work,
    compiled: Compiled,
    model: nn.Module,
    machine: Machine,
    rates: Rates,
    schedule: Schedule,
    *,
    loader: Batches | None,
    accumulation: int = 1,
) -> Trainer:
    """A trainer of a model as it stands."""
    from runtime.optimizer import Entry, Optimizer, Recipe
    from runtime.training import Trainer

    roles = {p["path"]: p["role"] for p in compiled.blueprint["parameters"]}
    entries = [Entry(path, roles[path], tensor) for path, tensor in model.named_parameters()]
    recipe = Recipe(
        embedding_lr=rates.embedding,
        head_lr=rates.head,
        matrix_lr=rates.matrix,
        newton_schulz_dtype=machine.dtype,
    )
    return Trainer(
        model=model,
        optimizer=Optimizer(entries, width=_width(compiled.blueprint), recipe=recipe),
        schedule=schedule,
        loader=loader,
        accumulation=accumulation,
        dtype=machine.torch_dtype,
        device=machine.device,
        compiled=machine.compiles,
        regions=compiled.blueprint["regions"],
        dials=compiled.blueprint["dials"],
        draws=compiled.blueprint["draws"],
        seed=work.seed,
    )


def _width(blueprint: dict[str, Any]) -> int:
    """The channels that rates scale by: those that enter the head, or of the embedding where the head is its."""
    by_role = {p["role"]: p["shape"][-1] for p in reversed(blueprint["parameters"])}
    return by_role.get("head") or by_role.get("embedding") or REFERENCE_WIDTH
