"""Settle whether a stage multiplies its large linear maps in 8 bits: as asked, as it began, or as a probe finds.

What a run began with it goes on with, whatever a probe would find then; of several ranks the first decides for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from nanogen.answers.float8 import float8_flops
from nanogen.answers.flops import training
from nanogen.bounds import Bound, OutOfBounds, one_of
from nanogen.load import Load
from runtime.faults import Fault

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.graph import Graph
    from runtime.capacity import Capacity
    from runtime.float8_gain import Gain
    from runtime.ranks import Ranks
    from runtime.training import Trainer
    from stages.training.settings import SessionSettings
    from stages.work import Work

NO, AUTO, YES = "no", "auto", "yes"
ENOUGH = 1.05  # times as fast must a layer be: it is not all of a step, and rounds more coarsely


@attrs.frozen
class Beside(Bound):
    """One of the words, and no contradiction to `dtype`."""

    def __call__(self, settings: object, attribute: attrs.Attribute[str], value: str) -> None:
        super().__call__(settings, attribute, value)
        if value == YES and getattr(settings, "dtype", "auto") == "float32":
            message = "`float8` is asked for, and so is `dtype` float32"
            raise OutOfBounds(message, 'take `dtype = "bfloat16"`, or leave one of the two out')


words = one_of(NO, AUTO, YES)
WORDS = Beside(words.wanted, words.keywords)


@frozen
class Choice:
    """Whether it is so, and why, as a sentence; `share` of a step's matmuls are, and None where nothing was asked."""

    on: bool = False
    why: str = ""
    share: float | None = None

    @property
    def logged(self) -> dict[str, float]:
        """What a log says of it."""
        return {} if self.share is None else {"float8": round(self.share, 4)}

    @property
    def told(self) -> dict[str, str]:
        """What a result says of it, among what it was computed with."""
        said = f"{self.share:.0%} of the matmuls" if self.share else "off"
        return {} if self.share is None else {"float8": said}

    @property
    def saved(self) -> dict[str, bool]:
        """What a save says of it, so that a run that goes on does not turn."""
        return {} if self.share is None else {"float8": self.on}


def refusal(stage: str, asked: str, on: Capacity) -> Fault | None:
    """The fault of asking for it where it is not."""
    if asked != YES or on.float8:
        return None
    message = f"`{stage}` is to multiply in float8, and {on.name or on.device.upper()} does not"
    return Fault(message, 'leave `float8` at "auto" or "no", or train it on Ada, Hopper or later')


@frozen
class Planned:
    """What a plan reckons with: a share of a step's matmuls, and why; nothing is said where nobody could ask for it."""

    share: float = 0.0
    why: str = ""


def planned(stage: str, settings: SessionSettings, on: Capacity, graph: Graph, length: int) -> Planned:
    """Raises Fault where it is asked for and is not there; what a probe will find, no plan knows."""
    asked, compiled = settings.float8, getattr(settings, "compile", "no") != "no"
    if fault := refusal(stage, asked, on):
        raise fault
    if not on.float8:
        return Planned(why="off, there is none" if asked == AUTO else "")
    if asked == NO:
        return Planned(why='off; `float8 = "auto"` lets a probe on the device decide')
    share = share_of(graph, length)
    if not share:
        return Planned(why="off, no linear map of the model is large enough")
    if not compiled:
        state = "off, only compiled code gains by it" if asked == AUTO else "on, as asked, and not compiled"
        return Planned(why=f"{state}: reckoned as bfloat16")
    if asked == AUTO:
        told = "a probe on the device decides; reckoned as bfloat16"
        return Planned(why=f"{share:.0%} of the matmuls of a step could be, {told}")
    return Planned(share, f"on, as asked: {share:.0%} of the matmuls of a step")


def share_of(graph: Graph, length: int) -> float:
    """Of the matmul FLOPs of a training step, those of the maps that can be so."""
    load = Load(1, length)
    return float8_flops(graph, load) / training(graph, load).matmul


def settle(
    work: Work, trainer: Trainer, compiled: Compiled, *, begun: bool | None, load: Load | None
) -> Choice:
    """Settle it for a trainer that is new, make that so, and tell; `begun` is what its save says, if there is one."""
    asked, at = work.settings.float8, load or Load(1, compiled.graph.context)
    if asked == NO:
        return Choice()

    def probe() -> Gain:
        from runtime.float8_gain import gain

        return gain(trainer, vocab=compiled.graph.vocab, rows=at.rows, length=at.tokens)

    on, why = choose(asked, begun=begun, trainer=trainer, ranks=work.ranks, probe=probe)
    if on:
        trainer.use_float8()
    work.tell.line(f"float8: {'on' if on else 'off'}, {why}")
    return Choice(on, why, share_of(compiled.graph, at.tokens) if on else 0.0)


def choose(
    asked: str, *, begun: bool | None, trainer: Trainer, ranks: Ranks, probe: Callable[[], Gain]
) -> tuple[bool, str]:
    """Whether, and why; raises Fault where it cannot be. `probe` is called where the device could gain, with the trainer's maps made ready for it."""
    if trainer.shards is not None and (begun or (begun is None and asked == YES)):
        message = "`float8` is asked for, and ranks hold parts of the weights: the two do not go together"
        raise Fault(message, 'leave `float8` at "auto" or "no", or set `weights = "whole"`')
    if begun is not None:
        return begun, "as the run began"
    if not trainer.large:
        return False, "no linear map of the model is large enough"
    if trainer.shards is not None:
        return False, "ranks hold parts of the weights"
    if asked == YES:
        return True, "as asked" if trainer.compiled else "as asked; what is not compiled is slower by it"
    if why := _no_gain(trainer):
        return False, why
    trainer.use_float8()
    found = probe()
    trainer.float8 = None
    times, *_ = ranks.total(found.times if ranks.leads else 0.0, patient=True)
    told = f"{1000 * found.plain:.2f} ms as it is and {1000 * found.float8:.2f} in float8"
    return (
        times >= ENOUGH,
        f"`{found.path}` takes {told}: {times:.2f} times as fast, and {ENOUGH:g} is enough",
    )


def _no_gain(trainer: Trainer) -> str:
    """Why there is no use in probing; empty where there is."""
    from runtime.float8 import lacking

    if trainer.device == "cpu":
        return "a CPU gains nothing by it"
    return "only compiled code gains by it" if not trainer.compiled else lacking(trainer.device)
