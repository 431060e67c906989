"""What to write so that a step fits a memory that it does not fit: fewer rows, a shorter row, a smaller model.

Each is the largest that fits. Fewer rows change no result, and are proposed alone where they are enough.
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
from stages.footprint import NOTHING, MicroBatch
from stages.load import Stage
from stages.training.fitting import fits
from stages.training.pace import sizes

LEAST = 64  # tokens of a row that is worth proposing
GROWTH = ("depth", "size")  # dims by which specs grow


@frozen
class Change:
    """A setting to write: `rows = 8`, in the table where it stands."""

    setting: str
    value: int
    table: str
    note: str

    def __str__(self) -> str:
        return f"write `{self.setting} = {self.value}` in `{self.table}`: {self.note}"


def changes(stage: Stage, on: Capacity, *, own: bool = False) -> list[Change]:
    """What would make the step of a stage fit; `own`: the stage sets the size of its model itself."""
    assert stage.compiled is not None, stage.name
    with_table, settings = f"[stage.{stage.name}.with]", stage.settings
    if hasattr(settings, "micro_tokens"):
        if (tokens := _micro_tokens(stage, on)) is not None:
            return [Change("micro_tokens", tokens, with_table, "no result hangs on it")]
    elif (rows := _fewer(stage, on)) is not None:
        note = "no result hangs on it; where `rows` is left out, the machine's memory says"
        return [Change("rows", rows, with_table, note)]
    return [*_shorter(stage, on), *_smaller(stage, on, own)]


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


def _micro_tokens(stage: Stage, on: Capacity) -> int | None:
    kind, settings, compiled = stage.kind, stage.settings, stage.compiled
    tokens: int = settings.micro_tokens
    while (tokens := tokens // 2) >= settings.tokens:  # an answer is held whole
        step = kind.micro_batch(attrs.evolve(settings, micro_tokens=tokens), compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
        if fits(compiled, step, settings.dtype, on):  # pyright: ignore[reportArgumentType]
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
        table, note = f"[stage.{stage.name}.with]", "the longest rows that fit; the model sees less at once"
        yield Change("length", lengths[found - 1], table, note)


def _smaller(stage: Stage, on: Capacity, own: bool) -> Iterator[Change]:
    """The largest model at which a row fits, by the dim that its spec grows by."""
    compiled = stage.compiled
    dims = compiled.document.data.get("dims", {}) if compiled is not None else {}
    dim = next((name for name in GROWTH if type(dims.get(name)) is int), None)
    if compiled is None or dim is None:
        return
    found = largest(lambda n: _size_fits(stage, compiled, {dim: n}, on), compiled.graph.dims[dim] - 1)
    if found is not None:
        table = f"[stage.{stage.name}.set]" if own else "[set]"
        yield Change(dim, found, table, "the largest model of this spec that fits")


def _size_fits(stage: Stage, compiled: Compiled, size: dict[str, int], on: Capacity) -> bool | None:
    """None where the spec or the optimizer has no model of that size."""
    try:
        other = compile_document(compiled.document, {**compiled.spec.overrides, **size}, compiled.used)
        answers = hasattr(stage.settings, "micro_tokens")  # whose `rows` are others
        least = {"micro_tokens": stage.settings.tokens} if answers else {"rows": None}
        settings = attrs.evolve(stage.settings, **least)
        step = stage.kind.micro_batch(settings, other, on)  # pyright: ignore[reportAttributeAccessIssue]
    except (Refusal, Fault):
        return None
    return fits(other, step, stage.settings.dtype, on)
