"""Make the trainer of a stage: a model, what moves its weights, and where its batches come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanogen.answers.parting import Parts, parting
from stages.models.artefact import WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from nanogen.compiler import Compiled
    from runtime.ahead import Loads
    from runtime.device import Machine
    from runtime.training import Trainer
    from runtime.weight_shards import WeightShards
    from stages.models.artefact import Artefact
    from stages.training.recipe import Recipe
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
    shards: WeightShards | None = None,
) -> Trainer:
    """A trainer of a model as it stands."""
    from runtime.ahead import Ahead, pays
    from runtime.training import Trainer

    optimizer = recipe.optimizer(model, machine.dtype, work.ranks, shards)
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
        shards=shards,
    )


def shard(work: Work, compiled: Compiled, machine: Machine) -> WeightShards:
    """A model whose weights lie in parts over the ranks, not yet filled; no rank ever holds all of it."""
    from runtime.model import outline
    from runtime.ranks import Joined
    from runtime.weight_shards import WeightShards

    parts, ranks = parting(compiled.graph), work.ranks
    assert isinstance(parts, Parts), "what cannot lie in parts was refused"
    assert isinstance(ranks, Joined), "weights lie in parts over several ranks"
    model = outline(compiled.source, compiled.blueprint)
    return WeightShards(model, ranks, parts.units, dtype=machine.torch_dtype, device=machine.device)


def new_model(
    work: Work, compiled: Compiled, machine: Machine, *, sharded: bool, filled: bool
) -> tuple[nn.Module, WeightShards | None]:
    """A model to pretrain, filled by its laws unless a save is to fill it."""
    from runtime.model import build, initialize

    if sharded:
        shards = shard(work, compiled, machine)
        if filled:
            shards.initialize(compiled.blueprint, seed=work.seed)
        return shards.model, shards
    model = build(compiled.source, compiled.blueprint, device=machine.device)
    if filled:
        initialize(model, compiled.blueprint, seed=work.seed)
    return model, None


def trained_model(
    work: Work, artefact: Artefact, folder: Path, machine: Machine, *, sharded: bool
) -> tuple[nn.Module, WeightShards | None]:
    """A model to go on with; of several ranks each reads what it keeps of the weights from the model's folder."""
    from runtime.model import build
    from runtime.tensors import read_tensors
    from runtime.training import load_weights

    if work.ranks.count == 1:
        return artefact.model, None
    compiled, weights = artefact.compiled, read_tensors(folder / WEIGHTS)
    if sharded:
        shards = shard(work, compiled, machine)
        shards.load(weights)
        return shards.model, shards
    model = build(compiled.source, compiled.blueprint, device=machine.device)
    load_weights(model, weights)
    return model, None
