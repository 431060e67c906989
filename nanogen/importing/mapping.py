"""Which part of which published tensor fills each parameter: an import table settled for one graph.

Knows nothing of files: no checkpoint has been read.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property

from attrs import frozen

from nanogen.answers.parameters import Placed, parameters
from nanogen.building.build import Builder
from nanogen.building.names import Names
from nanogen.graph import Graph
from nanogen.language.arithmetic import Unknown, kind_of, shown
from nanogen.language.expression import Name
from nanogen.language.imports import Cut, Each, ImportLine, ImportTable, Source
from nanogen.language.spec import Spec
from nanogen.language.tables import Equation
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place, nearest
from nanogen.text.locate import KeyPath

MAX_PARTS = 200_000  # of one mapping

Shape = tuple[int, ...]
Step = str | tuple[int | slice, ...]  # "T", or a subscript


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


@frozen(slots=False)  # what many ask for is kept beside the fields
class Settled:
    """An import table for one graph: every parameter with its parts."""

    table: ImportTable
    fillings: tuple[Filling, ...]

    @property
    def parts(self) -> Iterator[tuple[Filling, Part]]:
        for filling in self.fillings:
            for part in filling.parts:
                yield filling, part

    @cached_property
    def tensors(self) -> frozenset[str]:
        """Names of all published tensors that are read."""
        return frozenset(part.tensor for _, part in self.parts)

    def ignores(self, tensor: str) -> bool:
        return any(fnmatchcase(tensor, pattern) for pattern in self.table.ignore)


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
        match equation.expression:
            case Name(id=name) if name in given:  # what nearly all lines say
                return given[name]
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
