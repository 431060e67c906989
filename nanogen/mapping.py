"""Which part of which published tensor fills each parameter: an import table settled for one graph.

Works on names and shapes alone: whoever has read a checkpoint's header can hold a mapping against it. Knows
nothing of files, and loads no tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from math import prod
from typing import Any

from attrs import frozen

from nanogen.answers.parameters import Placed, parameters
from nanogen.arithmetic import Unknown, kind_of, shown
from nanogen.build import Builder
from nanogen.diagnostics import Diagnostic, Findings, Note, Place, Reject, nearest
from nanogen.graph import Graph
from nanogen.imports import Cut, Each, ImportLine, ImportTable, Source
from nanogen.locate import KeyPath
from nanogen.names import Names
from nanogen.spec import Spec
from nanogen.tables import Equation

MAX_PARTS = 200_000  # of one mapping
FLOATS = ("F64", "F32", "BF16", "F16")  # as safetensors writes them

Shape = tuple[int, ...]
Step = str | tuple[int | slice, ...]  # "T", or a subscript
Box = tuple[tuple[int, int], ...]  # a range of each axis of a published tensor
_LAYERS = "the file is of a model with other sizes: give them with `--set`"


@frozen
class Stored:
    """A published tensor, as the header of its file says."""

    shape: Shape
    dtype: str


@frozen
class Part:
    """What is cut from one published tensor; `stacked` parts have a new first axis, on which they are joined."""

    tensor: str
    steps: tuple[Step, ...]
    source: Source
    stacked: bool = False

    @property
    def described(self) -> str:
        return f"`{self.tensor}`, cut as written," if self.steps else f"`{self.tensor}`"


@frozen
class Filling:
    """A parameter, and the parts that fill it: joined on the first axis where there are several."""

    path: str
    shape: Shape
    dtype: str | None
    parts: tuple[Part, ...]
    line: ImportLine


@frozen
class Settled:
    """An import table for one graph: every parameter with its parts."""

    table: ImportTable
    fillings: tuple[Filling, ...]

    @property
    def parts(self) -> Iterator[tuple[Filling, Part]]:
        for filling in self.fillings:
            for part in filling.parts:
                yield filling, part

    @property
    def tensors(self) -> frozenset[str]:
        """Names of all published tensors that are read."""
        return frozenset(part.tensor for _, part in self.parts)

    def ignores(self, tensor: str) -> bool:
        return any(fnmatchcase(tensor, pattern) for pattern in self.table.ignore)


# -- from a table and a graph


def check_imports(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """What the import tables of a spec lack or have too much, as the file is written."""
    return [fault for table in spec.imports.values() for fault in settle(table, spec, graph)[1]]


def settle(table: ImportTable, spec: Spec, graph: Graph) -> tuple[Settled, list[Diagnostic]]:
    """Find the one line of every parameter, and compute the names and cuts it stands for."""
    settler = _Settler(table, spec, graph)
    fillings = tuple(f for f in map(settler.filling, parameters(graph)) if f is not None)
    if not spec.overrides:  # other dims may well build no such parameter
        settler.tell_unused()
    settler.tell_unfilled()
    return Settled(table, fillings), [*settler.findings.all, *settler.builder.findings.all]


class _Settler:
    def __init__(self, table: ImportTable, spec: Spec, graph: Graph):
        self.table, self.findings = table, Findings()
        self.builder = Builder(spec, Names())  # computes numbers, and tells of each line's fault once
        self.builder.dims = graph.dims
        self.lines: dict[tuple[str, ...], list[ImportLine]] = {}  # by the path without its numbers
        for line in table.lines:
            self.lines.setdefault(_shape_of_path(line.pattern), []).append(line)
        self.matched: set[KeyPath] = set()
        self.unfilled: dict[tuple[str, ...], list[str]] = {}
        self.count = 0

    def filling(self, placed: Placed) -> Filling | None:
        parts = tuple(placed.path.split("."))
        near = self.lines.get(_shape_of_path(parts), ())
        found = [(line, given) for line in near if (given := line.match(parts, placed.within)) is not None]
        self.matched |= {line.path for line, _ in found}
        if not found:
            self.unfilled.setdefault(_shape_of_path(parts), []).append(placed.path)
            return None
        line, given = found[0]
        if len(found) > 1:
            self.twice(placed.path, line, found[1][0])
        cut = [part for source in line.sources for part in self.parts(source, given, placed.path)]
        parameter = placed.parameter
        return Filling(placed.path, tuple(parameter.shape), parameter.dtype, tuple(cut), line)

    def parts(self, source: Source, given: dict[str, int], path: str) -> Iterator[Part]:
        """The tensors that a source names for these layer numbers: one, or as many as it counts."""
        counted = next((piece for piece in source.name if isinstance(piece, Each)), None)
        if counted is None:
            rounds = [given]
        else:
            bound = self.number(counted.bound, given, path)
            self.count += bound or 0
            if self.count > MAX_PARTS:
                message = f"more than {MAX_PARTS:,} tensors are named here"
                self.builder.findings.note("NG404", message, source.place, help="some size here is a slip")
                return
            rounds = ({**given, counted.name: n} for n in range(bound or 0))
        for numbers in rounds:
            pieces = [p if isinstance(p, str) else self.piece(p, numbers, path) for p in source.name]
            steps = [s if isinstance(s, str) else self.subscript(s, numbers, path) for s in source.steps]
            if None not in pieces and None not in steps:
                yield Part("".join(map(str, pieces)), tuple(steps), source, counted is not None)  # type: ignore[arg-type]

    def piece(self, piece: Equation | Each, numbers: dict[str, int], path: str) -> int | None:
        return numbers[piece.name] if isinstance(piece, Each) else self.number(piece, numbers, path)

    def subscript(self, cuts: tuple[Cut, ...], numbers: dict[str, int], path: str) -> tuple | None:
        items: list[int | slice] = []
        for cut in cuts:
            bounds = [None if e is None else self.number(e, numbers, path) for e in (cut.start, cut.stop)]
            wanted = sum(e is not None for e in (cut.start, cut.stop))
            if sum(b is not None for b in bounds) < wanted:
                return None
            items.append(bounds[0] if cut.single else slice(*bounds))  # type: ignore[arg-type]
        return tuple(items)

    def number(self, equation: Equation, given: dict[str, int], path: str) -> int | None:
        """A whole number of at least 0, or None after telling why not."""
        frame = self.builder.outside()
        frame.constants.update(given)
        found = frame.value_of(equation)
        if isinstance(found, Unknown):
            return None
        if isinstance(found, int | float) and found == int(found) and found >= 0:
            return int(found)
        what = shown(found) if isinstance(found, int | float) else kind_of(found)
        message = f"a layer's number is whole and at least 0, found {what} for `{path}`"
        help = "dims and layer numbers, counted from 0, make it"
        self.builder.findings.note("NG501", message, equation.place(equation.expression), help=help)
        return None

    # -- faults

    def twice(self, path: str, first: ImportLine, second: ImportLine) -> None:
        note = Note(Place(first.path, on_key=True), "and this one")
        place = Place(second.path, on_key=True)
        message, help = f"two lines fill `{path}`", "keep one: every parameter has one line"
        if not any(d.place == place for d in self.findings.all):
            self.findings.add(Diagnostic("NG503", message, place, "this line", help, (note,)))

    def tell_unused(self) -> None:
        for line in self.table.lines:
            if line.path not in self.matched:
                pattern = line.path[-1] if line.module is None else line.path[-2]
                where = f" in `{line.module}`" if line.module is not None else ""
                help = nearest(_as_pattern(tuple(pattern.split("."))), map(_as_pattern, self.unfilled))
                message = f"no parameter of this model is a `{pattern}`{where}"
                place = Place(line.path, on_key=True)
                self.findings.note("NG402", message, place, help=help or "correct the path, or leave it out")

    def tell_unfilled(self) -> None:
        for shape, paths in self.unfilled.items():
            more = f" and {len(paths) - 1} more like it" if len(paths) > 1 else ""
            message = f"no line of `[import.{self.table.name}]` fills `{paths[0]}`{more}"
            help = f'add `"{_as_pattern(shape)}" = ..`'
            self.findings.note("NG502", message, Place(self.table.path), help=help)


def _shape_of_path(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A path or a pattern with `*` for every number."""
    return tuple("*" if part[0] == "{" or part.isdecimal() else part for part in parts)


def _as_pattern(parts: tuple[str, ...]) -> str:
    """A path as people write it on the left, its placeholders called `i`, `j`, ..."""
    letters = iter("ijklmnopq")
    return ".".join(f"{{{next(letters, 'r')}}}" if part == "*" else part for part in _shape_of_path(parts))


# -- held against a checkpoint


def hold(settled: Settled, published: Mapping[str, Stored]) -> list[Diagnostic]:
    """Every reason why these published tensors do not fill the parameters, all of each."""
    findings = Findings(once_a_place=True)
    boxes: dict[str, list[tuple[Box, Filling, Part]]] = {}
    _tell_missing(settled, published, findings)
    for filling in settled.fillings:
        shapes = []
        for part in filling.parts:
            if (stored := published.get(part.tensor)) is None:
                break
            if stored.dtype not in FLOATS:
                message = f"`{part.tensor}` holds {stored.dtype} numbers"
                help = f"weights are {', '.join(FLOATS)}: store it as one of these"
                findings.note("NG515", message, part.source.place, help=help)
            try:
                shape, box = cut(stored.shape, part)
            except Reject as fault:
                findings.add(fault.at(part.source.place))
                break
            shapes.append(shape)
            boxes.setdefault(part.tensor, []).append((box, filling, part))
        else:
            _tell_shape(filling, shapes, findings)
    for tensor, read in boxes.items():
        _tell_coverage(tensor, published[tensor].shape, read, findings)
    return [*findings.all, *_left_over(settled, published)]


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
            message = f"{len(step)} subscripts for `{part.tensor}`, which has shape {_text(shape)}"
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
        raise Reject("NG309", message, _LAYERS)
    return low + start, low + stop


def _tell_missing(settled: Settled, published: Mapping[str, Stored], findings: Findings) -> None:
    lacking: dict[Place, list[str]] = {}
    for _, part in settled.parts:
        if part.tensor not in published:
            lacking.setdefault(part.source.place, []).append(part.tensor)
    unread = set(published) - settled.tensors
    for place, names in lacking.items():
        more = f", nor {len(names) - 1} more that this line names" if len(names) > 1 else ""
        template = _template(names[0])
        sibling = any(_template(name) == template for name in published)
        help = _LAYERS if sibling else nearest(names[0], unread) or "is this the right table? see `--as`"
        findings.note("NG511", f"the file has no `{names[0]}`{more}", place, help=help)


def _tell_shape(filling: Filling, shapes: list[Shape], findings: Findings) -> None:
    """Parts joined on the first axis have the parameter's shape, axes of 1 aside."""
    if not shapes:
        return
    first = filling.parts[0]
    if len(shapes) == 1:
        shape, what = shapes[0], first.described
    elif all(s and s[1:] == shapes[0][1:] for s in shapes):
        shape, what = (
            (sum(s[0] for s in shapes), *shapes[0][1:]),
            f"{first.described} with what is joined to it",
        )
    else:
        different = next(s for s in shapes if not s or s[1:] != shapes[0][1:])
        message = f"parts of shape {_text(shapes[0])} and {_text(different)} do not join to `{filling.path}`"
        help = "joined parts agree in all axes but the first"
        findings.note("NG513", message, Place(filling.line.path), help=help)
        return
    if _squeezed(shape) == _squeezed(filling.shape):
        return
    message = f"`{filling.path}` has shape {_text(filling.shape)}, and {what} has {_text(shape)}"
    turned = _squeezed(shape)[::-1] == _squeezed(filling.shape)
    help = "it is stored the other way round: write `.T` behind its name" if turned else _LAYERS
    findings.note("NG513", message, Place(filling.line.path), help=help)


def _tell_coverage(
    tensor: str, shape: Shape, read: list[tuple[Box, Filling, Part]], findings: Findings
) -> None:
    """Every number of a published tensor is read once: what is left, or shared, is a slip."""
    ordered = sorted(read, key=lambda entry: entry[0])
    for place, (box, filling, part) in enumerate(ordered):
        for other, sharer, sharing in ordered[place + 1 :]:
            if box and other[0][0] >= box[0][1]:
                break  # sorted: none behind begins within this one
            if all(
                low < upper and lower < high for (low, high), (lower, upper) in zip(box, other, strict=True)
            ):
                message = f"`{tensor}` fills `{filling.path}` and `{sharer.path}`, numbers of it twice"
                note = (
                    Note(part.source.place, "read here, too") if part.source is not sharing.source else None
                )
                help = "a tensor fills one parameter: cut each its own part, or tie them in the spec"
                findings.add(
                    Diagnostic("NG514", message, sharing.source.place, "", help, (note,) if note else ())
                )
                return
    used, whole = sum(prod(high - low for low, high in box) for box, _, _ in read), prod(shape)
    if used < whole:
        message = f"{used:,} of the {whole:,} numbers of `{tensor}` are read, which has shape {_text(shape)}"
        help = "give every part of it a parameter, or the model the file's sizes with `--set`"
        findings.note("NG514", message, read[0][2].source.place, help=help)


def _left_over(settled: Settled, published: Mapping[str, Stored]) -> Iterator[Diagnostic]:
    """Published tensors that no line reads, those of one name but for its numbers told together."""
    unread: dict[str, list[str]] = {}
    for name in published:
        if name not in settled.tensors and not settled.ignores(name):
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
