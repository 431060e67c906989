"""A model as a picture: its equations as a flow, each stack as a strip of layers, each kind of layer and each module once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from nanogen.answers.parameters import count, count_unit
from nanogen.answers.state import has_branch
from nanogen.building.layers import ranges
from nanogen.graph import Apply, Graph, Line, Node, Read, Unit, called, loops, nodes, owner_of, parts
from nanogen.language.arithmetic import shown
from nanogen.load import Load
from nanogen.primitives.pointwise import Arithmetic
from nanogen.views import flow
from nanogen.views.card import turning
from nanogen.views.equation import Forms, either, merged, written
from nanogen.views.packing import extent, pack
from nanogen.views.svg import KINDS, arrow, box, document, framed, width_of, words

NAME, TEXT, SMALL = 13.0, 11.5, 11.0  # sizes of type
ROW = 16.0  # from line to line of an equation
WRAP = 40  # characters of an equation's line
PAD = 12.0  # inside a box
LETTERS = 8  # kinds of layers that a reader keeps apart
CELL, TALL, CELLS = 28.0, 32.0, 20  # a layer in a strip, and how many stand in a row
MARGIN, INSET = 40.0, 26.0  # of the page, of a panel
NEXT = {"stack": "to the next layer", "loop": "to the next turn"}
NOTES = (
    "Each box is an equation, with all numbers put in. An arrow carries its value: B rows, T positions, then the sizes.",
    "Thick arrows are the residual stream: only sums change it.",
)
LEGEND = (
    ("weights", "owns weights; how many is said beside its name"),
    ("past", "looks at earlier positions"),
    ("calls", "calls a module, a stack or a loop"),
    ("plain", "other arithmetic"),
)


@frozen
class Kind:
    """Layers of a stack that compute the same, or where no two do, that differ in numbers alone."""

    letter: str
    colour: str
    units: tuple[Unit, ...]
    label: str


@frozen
class Panel:
    """A piece of the picture with its own origin."""

    width: float
    height: float
    pieces: tuple[str, ...]


def picture(graph: Graph) -> str:
    """Return a model as the text of an SVG file."""
    drawing = _Drawing(graph)
    drawing.name_kinds()
    panels = [drawing.panel([graph.model], "the model", "from tokens to logits", [])]
    panels += [drawing.layer_panel(kinds) for kinds in drawing.alike_kinds()]
    panels += [drawing.module_panel(units) for units in drawing.alike(drawing.modules())]
    return _page(graph, panels)


@define(eq=False)
class _Drawing:
    graph: Graph
    forms: Forms = field(factory=lambda: Forms(laws=False))
    kinds: dict[str, list[Kind]] = field(factory=dict)  # of each stack, by its table
    of_form: dict[int, Kind] = field(factory=dict)

    # -- what is drawn once

    def units(self) -> list[Unit]:
        """The units of the model, one of each form, in the order of the file."""
        seen: dict[int, Unit] = {}

        def visit(unit: Unit) -> None:
            if seen.setdefault(self.forms.of(unit), unit) is unit:
                for inner in _called(unit):
                    visit(inner)

        visit(self.graph.model)
        return list(seen.values())

    def modules(self) -> list[Unit]:
        return [unit for unit in self.units() if unit.kind not in ("model", "stack")]

    def name_kinds(self) -> None:
        """Give each kind of layer a letter and a colour within its stack."""
        stacks: dict[str, list[Unit]] = {}
        for unit in self.units():
            if unit.kind == "stack":
                stacks.setdefault(unit.name, []).append(unit)
        for name, units in stacks.items():
            labels = dict(zip(units, _labels(units), strict=True))
            groups = [[unit] for unit in units] if len(units) <= LETTERS else self.alike(units)
            for place, group in enumerate(groups):
                label = merged(labels[unit] for unit in group)
                kind = Kind(_letter(place), KINDS[place % len(KINDS)], tuple(group), label)
                self.kinds.setdefault(name, []).append(kind)
                self.of_form |= {self.forms.of(unit): kind for unit in group}

    def kind_of(self, unit: Unit) -> Kind:
        return self.of_form[self.forms.of(unit)]

    def alike(self, units: Iterable[Unit]) -> list[list[Unit]]:
        """Units that one panel shows: they differ in numbers alone."""
        groups: dict[tuple, list[Unit]] = {}
        for unit in units:
            groups.setdefault(self.forms.outline(unit), []).append(unit)
        return list(groups.values())

    def alike_kinds(self) -> list[list[Kind]]:
        units = [unit for kinds in self.kinds.values() for kind in kinds for unit in kind.units]
        return [list(dict.fromkeys(map(self.kind_of, group))) for group in self.alike(units)]

    # -- panels

    def layer_panel(self, kinds: list[Kind]) -> Panel:
        units = [unit for kind in kinds for unit in kind.units]
        stack = units[0].name
        several = len(self.kinds[stack]) > 1
        letters = ", ".join(kind.letter for kind in kinds)
        title = f"{stack}, layers {letters}" if several else f"{stack}, every layer"
        about = [merged(kind.label for kind in kinds)] if kinds[0].label else []
        about.append(f"{_counted(units) or 'no'} parameters in each layer")
        return self.panel(units, title, " · ".join(about), kinds if several else [])

    def module_panel(self, units: list[Unit]) -> Panel:
        about = [
            merged(
                ", ".join(f"{name} = {shown(value)}" for name, value in unit.numbers.items())
                for unit in units
            ),
            merged(
                ", ".join(f"{name} = {module}" for name, module in unit.modules.items()) for unit in units
            ),
            f"{_counted(units) or 'no'} parameters",
            merged(self.turns(unit) for unit in units),
        ]
        return self.panel(units, f"{units[0].kind} {units[0].name}", " · ".join(filter(None, about)), [])

    def turns(self, unit: Unit) -> str:
        """How often the body of a loop is turned; nothing of another unit."""
        found = [loop for _, loop in loops(self.graph) if loop.body is unit]
        return merged(f"{loop.turns(Load())} turns, {turning(loop)}" for loop in found) if found else ""

    def panel(self, units: list[Unit], title: str, about: str, kinds: list[Kind]) -> Panel:
        """Alike units as one flow of their equations under a title."""
        unit, stream = units[0], _stream(units[0])
        contents = {f"={line.name}": self.equation([u.line(line.name) for u in units]) for line in unit.lines}
        inputs = dict.fromkeys([f">{name}" for name, _ in unit.passed] + [f">{n}" for n in _outside(unit)])
        shapes = _shapes(units)
        room = {key: 8 + _sans(shape) for key, shape in shapes.items()}
        if unit.kind in NEXT:
            room |= {f"={n}": max(8 + _sans(_next(unit, n)), room[f"={n}"]) for n in unit.results}
        boxes = [
            flow.Box(key, width_of(key[1:], NAME) + 28, 28.0, room.get(key, 0.0), early=True)
            for key in inputs
        ]
        boxes += [flow.Box(key, c.width, c.height, room[key]) for key, c in contents.items()]
        placed = flow.place(boxes, _edges(unit), stream)
        lines = _wrapped(about, 64)
        top = INSET + 24 + 18 * len(lines) + 14
        head = width_of(title, 16, mono=False) + 30 * len(kinds)
        inner = max(placed.width, head, *(_sans(t) for t in lines))
        pieces = _title(title, lines, kinds)
        pieces += _flow(unit, placed, stream, contents, shapes, INSET + (inner - placed.width) / 2, top)
        width, height = inner + 2 * INSET, top + placed.height + 34 + INSET
        return Panel(width, height, (framed(0, 0, width, height, "panel", radius=10), *pieces))

    def equation(self, lines: list[Line]) -> Panel:
        """An equation in a box: name, parameters, text, and the layers of the stack that it calls."""
        line = lines[0]
        texts = _wrapped(merged(written(each.node, laws=False) for each in lines), WRAP)
        counted = _either_number(_parameters(each) for each in lines)
        head = width_of(line.name, NAME) + (24 + _sans(counted) if counted else 0)
        width = max(head, *(width_of(t, TEXT) + (14 if place else 0) for place, t in enumerate(texts)))
        strips = [self.strip(called(node)) for node in nodes(line.node) if _is_stack(node)]
        width = max([width, *(s.width for s in strips)]) + 2 * PAD + 6
        pieces = [words(PAD + 6, 21, line.name, NAME, "mono", "bold", "ink")]
        if counted:
            pieces.append(words(width - PAD, 21, counted, SMALL, "end", "weights"))
        y = 21.0
        for place, text in enumerate(texts):
            y += ROW
            pieces.append(words(PAD + 6 + (14 if place else 0), y, text, TEXT, "mono", "soft"))
        y += 12
        for strip in strips:
            pieces += [_moved(strip.pieces, PAD + 6, y)]
            y += strip.height + 8
        back = [framed(0, 0, width, y, "box"), *_bar(line, y)]
        return Panel(width, y, (*back, *pieces))

    def strip(self, layers: Sequence[Unit]) -> Panel:
        """The layers of a stack as numbered cells, and a line on each kind."""
        kinds = [self.kind_of(layer) for layer in layers]
        several = len(self.kinds[layers[0].name]) > 1
        tall = TALL if several else TALL - 10
        pieces = []
        for index, kind in enumerate(kinds):
            x, y = index % CELLS * CELL, index // CELLS * (tall + 3)
            pieces.append(box(x, y, CELL - 2, tall, kind.colour, radius=4))
            pieces.append(words(x + CELL / 2 - 1, y + 15, str(index), SMALL, "cell"))
            if several:
                pieces.append(words(x + CELL / 2 - 1, y + 27, kind.letter, 9, "cell", "bold"))
        height = ((len(kinds) - 1) // CELLS + 1) * (tall + 3) + 6
        width = min(len(kinds), CELLS) * CELL
        for kind in dict.fromkeys(kinds):
            at = [index for index, own in enumerate(kinds) if own is kind]
            text = _told(kind, at, len(kinds), several)
            pieces.append(box(0, height, 13, 13, kind.colour, radius=3))
            pieces += [words(6.5, height + 10.5, kind.letter, 9, "cell", "bold")] if several else []
            for line in _wrapped(text, 90):
                pieces.append(words(20, height + 11, line, SMALL, "soft"))
                width = max(width, 20 + _sans(line))
                height += 18
        return Panel(width, height, tuple(pieces))


# -- what a unit is made of


def _called(unit: Unit) -> Iterable[Unit]:
    return (inner for line in unit.lines for inner in _units_of(line))


def _units_of(line: Line) -> list[Unit]:
    return [unit for node in nodes(line.node) for unit in called(node)]


def _is_stack(node: Node) -> bool:
    return any(unit.kind == "stack" for unit in called(node))


def _owned(line: Line) -> int:
    owner = owner_of(line)
    return sum(p.count for p in owner.owned) if isinstance(owner, Apply) else 0


def _parameters(line: Line) -> int:
    return sum(map(count_unit, _units_of(line))) + _owned(line)


def _counted(units: Iterable[Unit]) -> str:
    return _either_number(map(count_unit, units))


def _either_number(numbers: Iterable[int]) -> str:
    """Numbers that are not the same, nothing for zero."""
    return either((f"{number:,}" for number in numbers if number), " | ")


def _shapes(units: list[Unit]) -> dict[str, str]:
    """The shape of each input and of each equation's value, by the name of its box."""
    inputs = {
        f">{name}": merged(dict(u.passed)[name].described for u in units) for name, _ in units[0].passed
    }
    names = [line.name for line in units[0].lines]
    return inputs | {f"={n}": merged(u.line(n).node.value.described for u in units) for n in names}


def _source(unit: Unit, name: str) -> str:
    """The box that a read name stands for: an input as it entered, an equation, or something outside."""
    if any(name == entered for entered, _ in unit.inputs):
        return f">{name}"
    first = name.split(".")[0]
    return f"={first}" if any(line.name == first for line in unit.lines) else f">{name}"


def _edges(unit: Unit) -> list[tuple[str, str]]:
    return [
        (_source(unit, node.name), f"={line.name}")
        for line in unit.lines
        for node in nodes(line.node)
        if isinstance(node, Read)
    ]


def _outside(unit: Unit) -> list[str]:
    """Names that are read and stand in no equation of the unit."""
    return list(dict.fromkeys(source[1:] for source, _ in _edges(unit) if source.startswith(">")))


def _stream(unit: Unit) -> set[tuple[str, str]]:
    """Arrows of the residual stream: from an input to the result of its name, through nothing but sums."""
    found: set[tuple[str, str]] = set()
    for result in unit.results:
        reached, edges = {f">{result}"}, []
        for line in filter(_is_residual, unit.lines):
            read = [_source(unit, p.name) for p in parts(line.node) if isinstance(p, Read)]
            edges += [(source, f"={line.name}") for source in read if source in reached]
            reached.update(f"={line.name}" for source in read if source in reached)
        leading = {f"={result}"}
        for source, target in reversed(edges):
            if target in leading:
                leading.add(source)
                found.add((source, target))
    return found


def _is_residual(line: Line) -> bool:
    """Whether a line is a sum, or another name for a value."""
    node = line.node
    return isinstance(node, Read) or (
        isinstance(node, Apply) and isinstance(node.primitive, Arithmetic) and node.primitive.operator in "+-"
    )


def _labels(units: list[Unit]) -> list[str]:
    """What sets the kinds of a stack's layers apart: modules, and numbers that differ."""
    names = dict.fromkeys(name for unit in units for name in unit.numbers)
    differing = [n for n in names if len({shown(unit.numbers.get(n)) for unit in units}) > 1]
    return [
        ", ".join(
            [f"{name} = {module}" for name, module in unit.modules.items()]
            + [f"{name} = {shown(unit.numbers[name])}" for name in differing if name in unit.numbers]
        )
        for unit in units
    ]


def _letter(place: int) -> str:
    letter = chr(ord("A") + place % 26)
    return letter if place < 26 else f"{letter}{place // 26}"


def _told(kind: Kind, at: list[int], count: int, several: bool) -> str:
    label = f"{kind.label} · " if kind.label else ""
    where = f"layers {ranges(at)}" if len(at) > 1 else f"layer {at[0]}"
    if not several or len(at) == count:
        where = f"{count} layers, all alike" if count > 1 else "one layer"
    return f"{label}{where} · {_counted(kind.units) or 'no'} parameters each"


# -- pieces


def _title(title: str, lines: list[str], kinds: list[Kind]) -> list[str]:
    x, pieces = INSET, []
    for kind in kinds:
        pieces.append(box(x, INSET - 6, 24, 24, kind.colour))
        pieces.append(words(x + 12, INSET + 11, kind.letter, 14, "cell", "bold"))
        x += 30
    pieces.append(words(x + 4 * bool(kinds), INSET + 12, title, 16, "bold", "ink"))
    return pieces + [words(INSET, INSET + 36 + 18 * n, text, 12, "soft") for n, text in enumerate(lines)]


def _flow(
    unit, placed: flow.Flow, stream, contents: dict[str, Panel], shapes, left: float, top: float
) -> list[str]:
    """Arrows first, then boxes, then the shapes on the arrows."""
    pieces, labels = [], []
    for drawn in placed.arrows:
        points = [(x + left, y + top) for x, y in drawn.points]
        pieces.append(arrow(points, thick=(drawn.source, drawn.target) in stream))
    carried = {target for _, target in stream}
    for b in placed.boxes:
        x, y = b.x + left, b.y + top
        bottom, centre = y + b.height, b.centre + left
        label = shapes.get(b.name, "")
        if b.name[1:] in unit.results and b.name in contents:
            pieces.append(arrow([(centre, bottom), (centre, bottom + 30)], thick=b.name in carried))
            if unit.kind in NEXT:
                labels.append(words(centre + 8, bottom + 29, _next(unit, b.name[1:]), SMALL, "soft", "halo"))
        if b.name in contents:
            pieces.append(_moved(contents[b.name].pieces, x, y))
        else:
            pieces.append(framed(x, y, b.width, b.height, "box", radius=14))
            pieces.append(words(x + 14, y + 18.5, b.name[1:], NAME, "mono", "bold", "ink"))
        if label:
            labels.append(words(centre + 8, bottom + 15, label, SMALL, "soft", "halo"))
    return pieces + labels


def _next(unit: Unit, result: str) -> str:
    """Where a result of a layer or a turn goes."""
    return NEXT[unit.kind] if any(result == name for name, _ in unit.inputs) else "read elsewhere"


def _bar(line: Line, height: float) -> list[str]:
    """The left edge of a box in the colours of what its equation does."""
    kinds = []
    if any(isinstance(node, Apply) and has_branch(node) for node in nodes(line.node)):
        kinds.append("past")
    if _owned(line):
        kinds.append("weights")
    if _units_of(line):
        kinds.append("calls")
    kinds = kinds or ["plain"]
    share = (height - 2) / len(kinds)
    return [box(1, 1 + share * n, 5, share, kind, radius=2) for n, kind in enumerate(kinds)]


def _moved(pieces: Iterable[str], x: float, y: float) -> str:
    return "\n".join([f'<g transform="translate({x:.1f} {y:.1f})">', *pieces, "</g>"])


def _sans(text: str) -> float:
    return width_of(text, 12, mono=False)


def _wrapped(text: str, width: int) -> list[str]:
    """A text on lines of about `width` characters, broken behind commas, dots and brackets, before operators."""
    lines = [""]
    for piece in re.split(r"(?<=, )|(?<=\()|(?<= · )|(?= [-+*/]+ )", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip(" ·") for line in lines]


def _page(graph: Graph, panels: list[Panel]) -> str:
    """Panels one beside the other as far as there is room, under a head."""
    facts = f"{count(graph):,} parameters · vocabulary {graph.vocab:,} · context {graph.context:,}"
    pieces = [words(MARGIN, 62, graph.name, 28, "bold", "ink"), words(MARGIN, 88, facts, 14, "soft")]
    pieces += [words(MARGIN, 116 + 18 * n, line, 12, "soft") for n, line in enumerate(NOTES)]
    x, y = MARGIN, 116.0 + 18 * len(NOTES)
    for kind, text in LEGEND:
        pieces += [box(x, y - 4, 5, 16, kind, radius=2), words(x + 12, y + 9, text, 12, "soft")]
        x += 12 + _sans(text) + 28
    y += 40
    sizes = [(panel.width, panel.height) for panel in panels]
    places = pack(sizes)
    for panel, (px, py) in zip(panels, places, strict=True):
        pieces.append(_moved(panel.pieces, px + MARGIN, py + y))
    width, height = extent(sizes, places)
    width = max(x, width + 2 * MARGIN, width_of(graph.name, 28, mono=False) + 2 * MARGIN)
    return document(width, height + y + MARGIN, f"{graph.name}: its equations, layers and modules", pieces)
