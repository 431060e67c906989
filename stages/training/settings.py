"""Settings of every stage that trains: its optimizer, how the loop goes, and what it computes in. Imports no torch."""

from __future__ import annotations

from attrs import frozen

from stages.choices import at_least, later, one_of, positive, quiet, setting
from stages.training.fitting import WEIGHTS
from stages.training.float8 import NO, WORDS
from stages.training.recipe import Tuned


@frozen
class SessionSettings(Tuned):
    """Settings of every stage that trains: its optimizer, and how the loop goes."""

    evaluate_every: int = setting(
        "steps between evaluations; 0 is start and end only", default=250, validator=at_least(0), kw_only=True
    )
    keep: str = setting(
        "which weights the stage leaves: the last, or those that its evaluations found best",
        default="last",
        validator=one_of("last", "best"),
        kw_only=True,
    )
    save_minutes: float = quiet("minutes between saves", default=10.0, validator=positive, kw_only=True)
    dtype: str = setting(
        "what training computes in; auto is what the machine is good at",
        default="auto",
        validator=one_of("auto", "float32", "bfloat16"),
        kw_only=True,
    )
    float8: str = later(
        "multiply large linear maps in 8-bit floats; auto is where a probe on the device finds it faster",
        default=NO,
        validator=WORDS,
        kw_only=True,
    )
    probe: str = quiet(
        "try a step, an evaluation and answers first, and compute less at once where memory is too small; auto is where "
        "the device has a memory of its own",
        default="auto",
        validator=one_of("auto", "yes", "no"),
        kw_only=True,
    )
    weights: str = quiet(
        "whether each of several ranks holds all weights, or a part of each matrix; auto: all, where a device has room",
        default="auto",
        validator=one_of(*WEIGHTS),
        kw_only=True,
    )


def falling() -> dict[str, float]:
    """Laws of a schedule under which rates fall in a line over the whole stage."""
    return {"warmdown": 1.0}
