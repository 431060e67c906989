"""Whether a published checkpoint has what an import table reads: every reason why not, by names and shapes alone.

A header is enough for it: no tensor is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from attrs import frozen

from nanogen.importing.mapping import Filling, Part, Settled, Shape
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place, Reject, closest, nearest

FLOATS = ("F64", "F32", "BF16", "F16")  # as safetensors writes them

Box = tuple[tuple[int, int], ...]  # a range of each axis of a published tensor
_SIZES = "the file is of a model with other sizes: `--set` gives them"


@frozen
class Stored:
    """A published tensor, as the header of its file says."""

    shape: Shape
    dtype: str


def hold(settled: Settled, published: Mapping[str, Stored]) -> list[Diagnostic]:
    """Every reason why these published tensors do not fill the parameters, one fault once."""
    findings = Findings(once_a_place=True)
    meant = _tell_missing(settled, published, findings)
    read: dict[str, list[_Read]] = {}
    doubtful: set[str] = set()  # tensors of a line that has another fault
    for filling in settled.fillings:
        boxes = _boxes(filling, published, findings)
        for part, box in zip(filling.parts, boxes or (), strict=boxes is not None):
            read.setdefault(part.tensor, []).append(_Read(box, filling, part))
        if boxes is None:
            doubtful |= {part.tensor for part in filling.parts}
    for tensor in (t for t in read if t not in doubtful):
        _tell_coverage(tensor, published[tensor].shape, read[tensor], findings)
    return [*findings.all, *_left_over(settled, published, meant)]


@frozen
class _Read:
    """What a parameter reads of a tensor."""

    box: Box
    filling: Filling
    part: Part


def _boxes(filling: Filling, published: Mapping[str, Stored], findings: Findings) -> list[Box] | None:
    """What each part takes of its tensor; None where the parts do not fill the parameter."""
    shapes, boxes = [], []
    for part in filling.parts:
        stored = published.get(part.tensor)
        if stored is None:
            return None
        if stored.dtype not in FLOATS:
            message, help = (
                f"`{part.tensor}` holds {stored.dtype} numbers",
                f"weights are {', '.join(FLOATS)}",
            )
            findings.note("NG515", message, part.source.place, help=help)
        try:
            shape, box = cut(stored.shape, part)
        except Reject as fault:
            findings.add(fault.at(part.source.place))
            return None
        shapes.append(shape)
        boxes.append(box)
    return boxes if shapes and _joins(filling, shapes, findings) else None


def cut(shape: Shape, part: Part) -> tuple[Shape, Box]:
    """The shape of a part, and the range it takes of each axis of its tensor; raises Reject."""
    box, axes = [(0, size) for size in shape], list(range(len(shape)))
    for step in part.steps:
        if isinstance(step, str):
            if len(axes) != 2:
                message = f"`.T` turns a matrix, and `{part.tensor}` has shape {_text(shape)}"
                raise Reject("NG513", message, "cut a matrix from it first: `name[0].T`")
            axes.reverse()
            continue
        if len(step) > len(axes):
            message = f"{len(step)} subscript{'s' * (len(step) > 1)} for `{part.tensor}`, which has shape {_text(shape)}"
            raise Reject("NG309", message, "one subscript an axis")
        kept = []
        for axis, item in zip(axes, step, strict=False):
            box[axis] = _narrowed(box[axis], item, part, shape)
            kept += [axis] if isinstance(item, slice) else []
        axes = kept + axes[len(step) :]
    sizes = tuple(box[axis][1] - box[axis][0] for axis in axes)
    return (1, *sizes) if part.stacked else sizes, tuple(box)


def _narrowed(bounds: tuple[int, int], item: int | slice, part: Part, shape: Shape) -> tuple[int, int]:
    low, high = bounds
    size = high - low
    start, stop = (
        (item.start or 0, size if item.stop is None else item.stop)
        if isinstance(item, slice)
        else (item, item + 1)
    )
    if not 0 <= start < stop <= size:
        written = f"{start}:{stop}" if isinstance(item, slice) else f"{start}"
        message = f"[{written}] is outside an axis of {size}: `{part.tensor}` has shape {_text(shape)}"
        raise Reject("NG309", message, _SIZES)
    return low + start, low + stop


def _tell_missing(settled: Settled, published: Mapping[str, Stored], findings: Findings) -> set[str]:
    """Tell of names that the file does not have, line by line; returns those that were surely meant."""
    lacking: dict[Place, list[str]] = {}
    for _, part in settled.parts:
        if part.tensor not in published:
            lacking.setdefault(part.source.place, []).append(part.tensor)
    unread, templates, meant = set(published) - settled.tensors, set(map(_template, published)), set()
    for place, names in lacking.items():
        more = f", nor {len(names) - 1} more that this line names" if len(names) > 1 else ""
        help = nearest(names[0], unread) or "is this the right table? `--as` names another"
        if _template(names[0]) in templates:
            help = _SIZES
        elif near := closest(names[0], unread):
            meant.add(_template(near))
        findings.note("NG511", f"the file has no `{names[0]}`{more}", place, help=help)
    return meant


def _joins(filling: Filling, shapes: list[Shape], findings: Findings) -> bool:
    """Whether parts joined on the first axis have the parameter's shape, axes of 1 aside."""
    place, what = Place(filling.line.path), filling.parts[0].described
    shape = shapes[0]
    if len(shapes) > 1:
        different = next((s for s in shapes if not s or s[1:] != shape[1:]), None)
        if different is not None:
            message = f"parts of shape {_text(shape)} and {_text(different)} do not join to `{filling.path}`"
            findings.note("NG513", message, place, help="joined parts agree in all axes but the first")
            return False
        what, shape = f"{what} with what is joined to it", (sum(s[0] for s in shapes), *shape[1:])
    if _squeezed(shape) == _squeezed(filling.shape):
        return True
    message = f"`{filling.path}` has shape {_text(filling.shape)}, and {what} has {_text(shape)}"
    turned = _squeezed(shape)[::-1] == _squeezed(filling.shape)
    help = "it is stored the other way round: write `.T` behind its name" if turned else _SIZES
    findings.note("NG513", message, place, help=help)
    return False


def _tell_coverage(tensor: str, shape: Shape, read: list[_Read], findings: Findings) -> None:
    """Every number of a published tensor is read once: what is left, or shared, is a slip."""
    if shared := _overlap(sorted(read, key=lambda r: r.box)):
        one, other = shared
        message = f"`{one.filling.path}` and `{other.filling.path}` read the same numbers of `{tensor}`"
        help = "cut each its own part, or tie the two in the spec"
        note = Note(one.part.source.place, "read here, too")
        notes = () if one.part.source is other.part.source else (note,)
        findings.add(Diagnostic("NG514", message, other.part.source.place, "", help, notes))
        return
    used, whole = sum(prod(high - low for low, high in r.box) for r in read), prod(shape)
    if used < whole:
        message = f"{used:,} of the {whole:,} numbers of `{tensor}` are read, which has shape {_text(shape)}"
        findings.note("NG514", message, read[0].part.source.place, help=f"read all of it; perhaps {_SIZES}")


def _overlap(ordered: list[_Read]) -> tuple[_Read, _Read] | None:
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            if one.box and other.box[0][0] >= one.box[0][1]:
                break  # they are sorted: none behind begins within this one
            sides = zip(one.box, other.box, strict=True)
            if all(low < upper and lower < high for (low, high), (lower, upper) in sides):
                return one, other
    return None


def _left_over(settled: Settled, published: Mapping[str, Stored], meant: set[str]) -> Iterator[Diagnostic]:
    """Published tensors that no line reads, those of one name but for its numbers told together."""
    unread: dict[str, list[str]] = {}
    for name in published:
        if name not in settled.tensors and not settled.ignores(name) and _template(name) not in meant:
            unread.setdefault(_template(name), []).append(name)
    read = {_template(name) for name in settled.tensors}
    for template, names in unread.items():
        more = f" and {len(names) - 1} more like it" if len(names) > 1 else ""
        message = f"the file has `{names[0]}`{more}, and no line reads {'them' if more else 'it'}"
        help = f'a line reads it, or `ignore = ["{template}"]` leaves it out'
        if template in read:
            help = "the file is of a model with more layers: give their number with `--set`"
        yield Diagnostic("NG512", message, Place(settled.table.path), help=help)


def _template(name: str) -> str:
    """A name with `*` for every number that stands alone."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _text(shape: Any) -> str:
    return " x ".join(map(str, shape)) or "()"
