"""A device whose memory is too small from some step on: whoever computes more rows at once is told so, as torch tells it.

Also a program: `python -m tests.stages.training.scarce run ..` is `nanogen` on such a device, as SCARCE says (JSON:
the fields of `Scarce`). One that is killed at a step is killed by SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import torch
from attrs import define

from nanogen.cli import main
from runtime.optimizer import Optimizer
from runtime.training import Trainer


@define(slots=False)
class Scarce:
    """What does not fit."""

    rows: int = 10**9  # of a micro-batch: more are too many
    evaluated: int = 10**9  # of an evaluation
    tokens: int = 10**9  # of a micro-batch
    since: int = 0  # the first step that is concerned
    calls: int = 0  # micro-batches of it that fit all the same
    rank: int | None = None  # the one that is concerned
    moving: int | None = None  # a step in which there is too little to move the weights
    kill: int | None = None  # the step before which the process is killed
    kill_evaluation: int | None = None  # or the step at whose evaluation it is

    def __attrs_post_init__(self) -> None:
        self._left = self.calls

    def install(self) -> None:
        """Make every trainer of this process scarce."""
        self.plain = Trainer.__attrs_post_init__, Trainer.run_step, Optimizer.step
        scarce, (begin, run_step, move) = self, self.plain

        def begun(trainer: Trainer) -> None:
            begin(trainer)
            losses = trainer.losses

            def scarcely(inputs: Any, *rest: Any, weights: Any = None, **named: Any) -> Any:
                if weights is None and trainer.step == scarce.kill_evaluation:
                    os.kill(os.getpid(), signal.SIGKILL)
                if scarce.refuses(trainer, inputs, training=weights is not None):
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
                return losses(inputs, *rest, weights=weights, **named)

            trainer.losses = scarcely  # type: ignore[assignment]

        def stepped(trainer: Trainer) -> Any:
            if trainer.step == scarce.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            scarce.step = trainer.step
            return run_step(trainer)

        def moved(optimizer: Optimizer, *numbers: float) -> None:
            mine = scarce.rank is None or str(scarce.rank) == os.environ.get("RANK", "0")
            if scarce.moving is not None and scarce.moving == getattr(scarce, "step", None) and mine:
                raise torch.OutOfMemoryError("CUDA out of memory")
            move(optimizer, *numbers)

        Trainer.__attrs_post_init__, Trainer.run_step = begun, stepped  # type: ignore[method-assign]
        Optimizer.step = moved  # type: ignore[method-assign]

    def remove(self) -> None:
        Trainer.__attrs_post_init__, Trainer.run_step, Optimizer.step = self.plain  # type: ignore[method-assign]

    def refuses(self, trainer: Trainer, inputs: torch.Tensor, *, training: bool) -> bool:
        if trainer.step < self.since or self.rank not in (None, trainer.ranks.rank):
            return False
        many = len(inputs) > (self.rows if training else self.evaluated)
        if not many and inputs.numel() <= self.tokens:
            return False
        self._left -= training
        return not training or self._left < 0


if __name__ == "__main__":
    if "SCARCE" in os.environ:
        Scarce(**json.loads(os.environ["SCARCE"])).install()
    main()
