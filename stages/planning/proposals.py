"""What to write so that a step fits a memory that it does not fit: fewer rows, a shorter row, a smaller model.

Each is the largest that fits. Fewer rows change no result, and are proposed alone where they are enough. A model that
several stages share is proposed once, at a size at which all of them fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from nanogen.compiler import Compiled, compile_document
from nanogen.planning.search import largest
from nanogen.text.diagnostics import Refusal
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages.runfile.load import Stage
from stages.training.fitting import fits
from stages.training.footprint import NOTHING, MicroBatch
from stages.training.pace import sizes

LEAST = 64  # tokens of a row that is worth proposing
GROWTH = {
    "depth": 1,
    "size": 1,
    "width": 64,
}  # dims by which specs grow, the first that can; and in what steps


SHARED = ("set",)  # the run's own dims


@frozen
class Change:
    """A setting to write: `rows = 8`, in the table where it stands."""

    setting: str
    value: int
    table: tuple[str, ...]
    note: str

    def __str__(self) -> str:
        *above, last = self.table
        place = f"`{last}` of `[{'.'.join(above)}]`" if above else f"`[{last}]`"
        return f"write `{self.setting} = {self.value}` in {place}: {self.note}"


def changes(stage: Stage, on: Capacity, *, own: bool = False) -> list[Change]:
    """What would make the step of a stage fit; `own`: the stage sets the size of its model itself."""
    assert stage.compiled is not None, stage.name
    with_table, settings = ("stage", stage.name, "with"), stage.settings
    if hasattr(settings, "micro_tokens"):
        if (tokens := _micro_tokens(stage, stage.compiled, on)) is not None:
            return [Change("micro_tokens", tokens, with_table, "no result hangs on it")]
    elif (rows := _fewer(stage, on)) is not None:
        note = "no result hangs on it; where `rows` is left out, the machine's memory says"
        return [Change("rows", rows, with_table, note)]
    return [*_shorter(stage, on), *_smaller(stage, on, own)]


def joined(found: list[tuple[Stage, list[Change]]], on: Capacity) -> Change | None:
    """The one size of a model at which all stages fit that share it and need a smaller one, if there are such.

    It is taken from among their own changes, and what else a stage has to write at that size is put there.
    """
    sharing = [(stage, own, next((c for c in own if c.table == SHARED), None)) for stage, own in found]
    needed = [(stage, own, change) for stage, own, change in sharing if change is not None]
    if not needed:
        return None
    least = min((change for _, _, change in needed), key=lambda change: change.value)
    shorter = any(change.setting == "length" for _, own, _ in needed for change in own)
    names = ", ".join(f"`{stage.name}`" for stage, _, _ in needed)
    fit = "fits" if len(needed) == 1 else "fit"
    for stage, own, change in needed:
        own.remove(change)
        own += _beside(stage, {least.setting: least.value}, on)
    instead = "; then no `length` is needed" if shorter else ""
    return attrs.evolve(least, note=f"the largest model of this spec at which {names} {fit}{instead}")


def _beside(stage: Stage, size: dict[str, int], on: Capacity) -> Iterator[Change]:
    """The tokens at once of a stage that takes gradients on answers, where a smaller model alone is not enough."""
    if not hasattr(stage.settings, "micro_tokens"):
        return
    smaller = _of_size(stage, size)
    assert smaller is not None, "a size that was proposed compiles"
    step = stage.kind.micro_batch(stage.settings, smaller, on)  # pyright: ignore[reportAttributeAccessIssue]
    if fits(smaller, step, stage.settings.dtype, on):
        return
    tokens = _micro_tokens(stage, smaller, on)
    assert tokens is not None, "a size that was proposed fits"
    table, name = ("stage", stage.name, "with"), next(iter(size))
    yield Change("micro_tokens", tokens, table, f"with the `{name}` below; no result hangs on it")


def _fewer(stage: Stage, on: Capacity) -> int | None:
    """The most rows that fit, below those that do not."""
    kind, settings, compiled = stage.kind, stage.settings, stage.compiled
    step: MicroBatch = kind.micro_batch(settings, compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
    fewer = sizes(step.own_rows, step.load.rows - 1)

    def fit(place: int) -> bool:
        rows = fewer[place - 1]
        smaller = attrs.evolve(
            step, load=attrs.evolve(step.load, rows=rows), accumulation=step.own_rows // rows
        )
        return fits(compiled, smaller, settings.dtype, on)  # pyright: ignore[reportArgumentType]

    found = largest(fit, len(fewer))
    return fewer[found - 1] if found is not None else None


def _settled(stage: Stage, settings: Any, compiled: Compiled, on: Capacity) -> int | None:
    """The rows of a step that fits; None where not even one does."""
    kind: Any = stage.kind
    step = kind.micro_batch(settings, compiled, on)
    return None if step.bound == NOTHING else step.load.rows


def _micro_tokens(stage: Stage, compiled: Compiled, on: Capacity) -> int | None:
    kind, settings = stage.kind, stage.settings
    tokens: int = settings.micro_tokens
    while (tokens := tokens // 2) >= settings.tokens:  # an answer is held whole
        step = kind.micro_batch(attrs.evolve(settings, micro_tokens=tokens), compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
        if fits(compiled, step, settings.dtype, on):
            return tokens
    return None


def _shorter(stage: Stage, on: Capacity) -> Iterator[Change]:
    """The longest rows of which one fits, among those that divide the present ones."""
    settings, compiled = stage.settings, stage.compiled
    if compiled is None or not hasattr(settings, "length"):
        return
    lengths = [n for n in sizes(settings.length or compiled.graph.context) if n >= LEAST][:-1]

    def one_fits(place: int) -> bool:
        shorter = attrs.evolve(settings, rows=None, length=lengths[place - 1])
        return _settled(stage, shorter, compiled, on) is not None

    found = largest(one_fits, len(lengths))
    if found is not None:
        table, note = ("stage", stage.name, "with"), "the longest rows that fit; the model sees less at once"
        yield Change("length", lengths[found - 1], table, note)


def _smaller(stage: Stage, on: Capacity, own: bool) -> Iterator[Change]:
    """The largest model at which a row fits, by the dim that its spec grows by: one, for others follow from it.

    Where layers are listed by number no other depth compiles, and the width is what is left.
    """
    compiled = stage.compiled
    if compiled is None:
        return
    for dim, step in GROWTH.items():
        if type(compiled.graph.dims.get(dim)) is not int:  # the spec has none of that name
            continue
        found = largest(
            lambda n, dim=dim, step=step: _size_fits(stage, {dim: n * step}, on),
            (compiled.graph.dims[dim] - 1) // step,
        )
        if found is not None:
            table = ("stage", stage.name, "set") if own else SHARED
            yield Change(dim, found * step, table, "the largest model of this spec that fits")
            return


def _size_fits(stage: Stage, size: dict[str, int], on: Capacity) -> bool | None:
    """None where the spec or the optimizer has no model of that size."""
    other = _of_size(stage, size)
    if other is None:
        return None
    answers = hasattr(stage.settings, "micro_tokens")  # whose `rows` are others
    least = {"micro_tokens": stage.settings.tokens} if answers else {"rows": None}
    try:
        settings = attrs.evolve(stage.settings, **least)
        step = stage.kind.micro_batch(settings, other, on)  # pyright: ignore[reportAttributeAccessIssue]
    except Fault:
        return None
    return fits(other, step, stage.settings.dtype, on)


def _of_size(stage: Stage, size: dict[str, int]) -> Compiled | None:
    """The model of a stage at another size."""
    compiled = stage.compiled
    assert compiled is not None, stage.name
    try:
        return compile_document(compiled.document, {**compiled.spec.overrides, **size}, compiled.used)
    except Refusal:
        return None
