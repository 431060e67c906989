"""`midtrain`: a pretrained model and a mixture of conversations -> a model that knows the form of a conversation.

By default every token counts, the user's too, and the rates stay up for four fifths of the steps, as the recipe of
2025 has it; rows are packed best fit, so that each begins with the begin of a conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.structure import Count, Formulas
from stages.choices import one_of, positive, setting
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

BEFORE = ("pretrain",)
READS = (BEFORE,)
VERSION = 1
MODEL = False
SEED = True


@frozen
class Settings(Tuning):
    learn: str = setting(
        "what counts in the loss: what the assistant writes, or every token",
        default="all",
        validator=one_of("answers", "all"),
    )
    batch_tokens: Count = setting("tokens of a step", default=Count(524_288), validator=positive)
    schedule: Formulas | None = setting(
        "other laws of the optimizer's schedule, by their names there", default=None, kw_only=True
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
