"""What a rank does in tests: train small models of the shipped specs, save, resume; `python -m tests.runtime.ranked FOLDER`.

Started without ranks in its environment, it is the one process that they are held against.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from nanogen.answers.parting import Parts, parting
from nanogen.compiler import Compiled, compile_file
from nanogen.shelf import find
from runtime.checkpoint import newest_save, write_save
from runtime.device import be_deterministic
from runtime.model import build, initialize, outline
from runtime.ranks import Joined, Ranks, join
from runtime.sharded import ShardedOptimizer
from runtime.training import IGNORED, Trainer
from runtime.weight_shards import WeightShards
from stages.pretrain import Settings
from stages.training.recipe import settle

STEPS, SAVED, ROWS, LENGTH, MICROS = 30, 15, 2, 16, 3
RESUMED = "saint_iberis_tiny"  # the model that goes on in parts
GROUPS = ("weights", "optimizer", "loader")
MODELS: dict[str, dict[str, Any]] = {
    "nanochat_2025": {"depth": 1, "vocab": 96, "context": LENGTH},
    "saint_iberis_tiny": {"depth": 2, "width": 64, "vocab": 96, "context": LENGTH},
    "looped": {"size": 1, "head_dim": 16, "recur_layers": 1, "vocab": 96, "context": LENGTH},
}


class Counted:
    """Batches that depend on their number alone, with more targets ignored in some than in others."""

    def __init__(self, vocab: int) -> None:
        self.vocab, self.place = vocab, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(self.place)
        ids = torch.randint(self.vocab // 4, (ROWS, LENGTH + 1), generator=draw)
        targets = ids[:, 1:].clone()
        targets[:, : self.place % 5] = IGNORED
        self.place += 1
        return ids[:, :-1], targets

    def state(self) -> dict[str, np.ndarray]:
        return {"place": np.array([self.place])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.place = int(state["place"][0])

    def sources(self) -> list[list[int]]:
        return [[self.place] for _ in range(ROWS)]

    def names(self, sources: Sequence[int]) -> list[str]:
        return [f"batch {source}" for source in sources]


def compiled_of(name: str) -> Compiled:
    return compile_file(find(name, "model"), MODELS[name])


def trainer_of(name: str, ranks: Ranks, *, sharded: bool = False) -> Trainer:
    compiled = compiled_of(name)
    recipe = settle(Settings(steps=STEPS, batch_tokens=MICROS * ROWS * LENGTH), compiled)  # pyright: ignore[reportArgumentType]
    if sharded:
        assert isinstance(ranks, Joined)
        model, shards = outline(compiled.source, compiled.blueprint), None
        parts = parting(compiled.graph)
        assert isinstance(parts, Parts)
        shards = WeightShards(model, ranks, parts.units, dtype=torch.float32, device="cpu")
        shards.initialize(compiled.blueprint, seed=1)
        optimizer = recipe.optimizer(model, "float32", ranks, shards)
    else:
        model, shards = build(compiled.source, compiled.blueprint), None
        initialize(model, compiled.blueprint, seed=1)
        optimizer = recipe.optimizer(model, "float32", ranks)
    return Trainer(
        model=model,
        optimizer=optimizer,
        schedule=recipe.schedule,
        loader=Counted(MODELS[name]["vocab"]),
        accumulation=MICROS,
        dtype=torch.float32,
        device="cpu",
        compiled=False,
        dials=compiled.blueprint["dials"],
        draws=compiled.blueprint["draws"],
        ending=compiled.blueprint["ending"],
        seed=5,
        ranks=ranks,
        shards=shards,
    )


def train(trainer: Trainer, steps: range, saves: Path | None = None) -> list[dict[str, Any]]:
    """The steps, with a save in their middle."""
    found = []
    for step in steps:
        if step == SAVED and saves is not None:
            groups = trainer.groups()
            if trainer.ranks.leads:
                write_save(saves, step, groups, {})
            del groups
        result = trainer.run_step()
        found.append({"loss": result.loss, "tokens": result.tokens, "dials": list(result.dials)})
    return found


def resume(name: str, ranks: Ranks, saves: Path, *, sharded: bool = False) -> list[dict[str, Any]]:
    """The steps after a save."""
    save = newest_save(saves, print)
    assert save is not None
    trainer = trainer_of(name, ranks, sharded=sharded)
    trainer.restore(save.step, {group: save.tensors(group) for group in GROUPS})
    return train(trainer, range(save.step, STEPS))


def state_bytes(trainer: Trainer) -> int:
    if isinstance(trainer.optimizer, ShardedOptimizer):
        return trainer.optimizer.bytes_of_state
    return sum(tensor.nbytes for tensor in trainer.optimizer.state().values())


def live_bytes() -> int:
    """Bytes of all tensors that there are in this process."""
    gc.collect()
    found: dict[int, int] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor) and not thing.is_meta:
            local = thing.to_local() if isinstance(thing, DTensor) else thing
            storage = local.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def in_parts(name: str, ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A model whose weights lie in parts: its steps, and what this rank holds as the weights are moved."""
    before, held = live_bytes(), []
    trainer = trainer_of(name, ranks, sharded=True)
    move = trainer.optimizer.step

    def measured(*how: float) -> None:
        if trainer.step == STEPS - 1:
            held.append(live_bytes() - before)
        move(*how)

    trainer.optimizer.step = measured  # type: ignore[method-assign]
    found = train(trainer, range(STEPS), folder / f"sharded_of_{ranks.count}" / name)
    numbers = compiled_of(name).blueprint["count"]
    return {"steps": found, "held": held[0], "parameters": numbers}


def main(folder: Path, *, resumed: bool = False) -> None:
    """Train each model from its start, and from the save of another number of ranks where there is one.

    Or one of them alone is `resumed` from the save of one process, its weights in parts.
    """
    be_deterministic()
    ranks, found = join(), {}
    if resumed:
        found[RESUMED] = {"resumed": resume(RESUMED, ranks, folder / "of_1" / RESUMED, sharded=True)}
    for name in () if resumed else MODELS:
        trainer = trainer_of(name, ranks)
        found[name] = {
            "steps": train(trainer, range(STEPS), folder / f"of_{ranks.count}" / name),
            "bytes": state_bytes(trainer),
        }
        del trainer
        if (other := folder / "of_1" / name).is_dir() and ranks.count > 1:
            found[name]["resumed"] = resume(name, ranks, other)
            found[name]["sharded"] = in_parts(name, ranks, folder)
            if name == RESUMED:
                own = folder / f"sharded_of_{ranks.count}" / name
                found[name]["sharded"]["resumed"] = resume(name, ranks, own, sharded=True)
    (folder / f"rank_{ranks.rank}_of_{ranks.count}.json").write_text(json.dumps(found))
    if isinstance(ranks, Joined):
        ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), resumed=len(sys.argv) > 2)
    sys.stdout.flush()
    os._exit(0)  # as ranks of a run end: threads of the groups may not be gone yet
