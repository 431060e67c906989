"""`sft`: a model and a mixture of conversations -> a model that answers, learnt from the assistant's side alone.

The loss is the mean over what the assistant writes in the whole step, however rows fall on micro-batches. Whole
conversations are packed side by side and never cut by packing; one that is longer than a row loses its end, and that is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from stages.choices import at_least, setting
from stages.footprint import Footprint, MicroBatch, of_training
from stages.tasks.mixture import needs_of_tasks
from stages.training.tuning import (
    Tuning,
    check_tuning,
    horizon_of,
    micro_batch_of,
    outside_tuning,
    small_tuning,
    tune,
)
from stages.unread import Idle, idle_of_length

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.optimizer.settle import Horizon
    from runtime.capacity import Capacity
    from stages.data.needs import Wish
    from stages.rehearsal import Small
    from stages.work import Work

BEFORE = ("pretrain", "midtrain", "sft")
READS = (BEFORE,)
VERSION = 1
MODEL = False
SEED = True


@frozen
class Settings(Tuning):
    rate_scale: float = setting(
        "what all learning rates are multiplied by", default=0.02, validator=at_least(0), kw_only=True
    )


def idle(settings: Settings) -> Idle:
    return idle_of_length(settings)


def check(settings: Settings, compiled: Compiled | None) -> None:
    check_tuning(settings, compiled)


def rehearsal(settings: Settings, small: Small) -> Settings:
    return small_tuning(settings, small)


def horizon(settings: Settings, compiled: Compiled) -> Horizon:
    return horizon_of(settings, compiled)


def micro_batch(settings: Settings, compiled: Compiled, on: Capacity) -> MicroBatch:
    return micro_batch_of(settings, compiled, on)


def disk(settings: Settings, compiled: Compiled) -> Footprint:
    return of_training(compiled)


def needs(settings: Settings) -> list[Wish]:
    return needs_of_tasks((*settings.tasks, *settings.validation))


def outside(settings: Settings) -> dict[str, Any]:
    return outside_tuning(settings)


def run(work: Work) -> None:
    tune(work, BEFORE)
