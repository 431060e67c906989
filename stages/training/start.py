"""Make the trainer of a stage: a model, what moves its weights, and where its batches come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from nanogen.compiler import Compiled
    from runtime.ahead import Loads
    from runtime.device import Machine
    from runtime.training import Trainer
    from stages.recipe import Recipe
    from stages.work import Work


def make_trainer(
    work: Work,
    compiled: Compiled,
    model: nn.Module,
    machine: Machine,
    recipe: Recipe,
    *,
    loader: Loads | None,
    accumulation: int = 1,
) -> Trainer:
    """A trainer of a model as it stands."""
    from runtime.ahead import Ahead, pays
    from runtime.training import Trainer

    optimizer = recipe.optimizer(model, machine.dtype, work.ranks)
    return Trainer(
        model=model,
        optimizer=optimizer,
        schedule=recipe.schedule,
        loader=Ahead(loader) if loader is not None and pays(machine.device) else loader,
        accumulation=accumulation,
        dtype=machine.torch_dtype,
        device=machine.device,
        compiled=machine.compiles,
        regions=compiled.blueprint["regions"],
        large=compiled.blueprint["float8"],
        dials=compiled.blueprint["dials"],
        draws=compiled.blueprint["draws"],
        ending=compiled.blueprint["ending"],
        seed=work.seed,
        ranks=work.ranks,
    )
