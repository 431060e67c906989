"""`midtrain`: a pretrained model and a mixture of conversations -> a model that knows the form of a conversation.

By default every token counts, the user's too, and the rates stay up for four fifths of the steps, as the recipe of
2025 has it; rows are packed best fit, so that each begins with the begin of a conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from nanogen.structure import Count, Formulas
from stages.choices import one_of, positive, setting
from stages.training.tuning import (
    Tuning,
    check,
    disk,
    horizon,
    idle,
    micro_batch,
    needs,
    outside,
    rehearsal,
    tune,
)

if TYPE_CHECKING:
    from stages.work import Work

# what a kind of stage offers, and is alike for all that learn from conversations
__all__ = ["check", "disk", "horizon", "idle", "micro_batch", "needs", "outside", "rehearsal"]

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


def run(work: Work) -> None:
    tune(work, BEFORE)
