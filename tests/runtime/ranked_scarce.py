"""What a rank does in tests of a memory that is too small: `python -m tests.runtime.ranked_scarce FOLDER`.

One rank runs out of memory in the midst of the last backward pass of a step, as buckets are on their way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from runtime import reduction
from runtime.device import be_deterministic
from runtime.faults import TooLarge
from runtime.ranks import Joined, Ranks, join
from runtime.sharded import ShardedOptimizer
from runtime.training import Trainer
from tests.runtime import ranked

MODELS = ("nanochat_2025", "looped")
SCARCE_AT, STEPS, SCARCE_RANK = 2, 5, 1


def trainer_of(name: str, ranks: Ranks) -> Trainer:
    """One whose micro-batches go whole to ranks, and its gradients in many buckets."""
    ranked.MICROS = 4
    defaults: Any = ShardedOptimizer.__init__.__kwdefaults__
    defaults["bucket"] = 500
    return ranked.trainer_of(name, ranks)


def reduction_of(trainer: Trainer) -> Any:
    optimizer: Any = trainer.optimizer
    return optimizer._reduction


def in_backward(trainer: Trainer, sent: list[int]) -> Callable[[], None]:
    """Run out of memory as the gradient of a parameter is made whose neighbours' are sent."""
    found = reduction_of(trainer)
    middle = found.buckets[len(found.buckets) // 2].members[0].parameter

    def fail(_: Any) -> None:
        if found._overlapping:
            sent.append(found._next)
            raise torch.OutOfMemoryError("CUDA out of memory")

    return middle.register_hook(fail).remove


def in_a_bucket(trainer: Trainer, sent: list[int]) -> Callable[[], None]:
    """Run out of memory as a bucket is made."""
    found, plain = reduction_of(trainer), reduction._flat

    def fail(*given: Any) -> Any:
        if found._next == len(found.buckets) // 2 and not sent:
            sent.append(found._next)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(*given)

    reduction._flat = fail

    def again() -> None:
        reduction._flat = plain

    return again


def train(name: str, ranks: Ranks, way: Callable[..., Callable[[], None]] | None) -> dict[str, Any]:
    """Some steps; without a way to fail, cut smaller by hand before the step in which the others fail."""
    trainer, losses, sent, fallen = trainer_of(name, ranks), [], [], 0
    for step in range(STEPS):
        undo = None
        if step == SCARCE_AT and way is None:
            trainer.cut(1)
        elif step == SCARCE_AT and way is not None and ranks.rank == SCARCE_RANK:
            undo = way(trainer, sent)
        try:
            result = trainer.run_step()
        except TooLarge:
            fallen += 1
            if undo is not None:
                undo()
            trainer.cut(trainer.smaller() or 0)
            result = trainer.run_step()
        losses.append([result.step, result.loss, result.tokens])
    sums = [float(p.detach().double().sum()) for p in trainer.model.parameters()]
    return {"losses": losses, "weights": sums, "sent": sent, "fallen": fallen, "rows": trainer.rows}


def main(folder: Path) -> None:
    be_deterministic()
    ranks = join()
    ways = {"by hand": None, "in backward": in_backward, "in a bucket": in_a_bucket}
    found = {name: {way: train(name, ranks, make) for way, make in ways.items()} for name in MODELS}
    (folder / f"rank_{ranks.rank}.json").write_text(json.dumps(found))
    if isinstance(ranks, Joined):
        ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
