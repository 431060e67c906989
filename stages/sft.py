"""`sft`: a model and a mixture of conversations -> a model that answers, learnt from the assistant's side alone.

The loss is the mean over what the assistant writes in the whole step, however rows fall on micro-batches. Whole
conversations are packed side by side and never cut by packing; one that is longer than a row loses its end, and that is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from stages.choices import at_least, setting
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


def run(work: Work) -> None:
    tune(work, BEFORE)
