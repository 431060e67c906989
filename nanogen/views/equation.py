"""A graph's equations as a spec writes them, every number put in; and units told apart by what they compute."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs
from attrs import define, field

from nanogen.graph import Apply, Call, Inside, Node, Read, Unit, called, nodes, parts
from nanogen.language import initial
from nanogen.language.arithmetic import shown
from nanogen.primitives import Primitive
from nanogen.primitives.axes import Pick
from nanogen.primitives.pointwise import Arithmetic, Negate

BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
NEGATION, ATOM = 3, 9
LAWS = ("init", "role", "stored")  # settings that change no value: how a parameter begins, who moves it


def written(node: Node, *, laws: bool = True, unit: Unit | None = None) -> str:
    """Return the text of a node; without `laws`, only what says which function is computed.

    With the `unit` that it stands in, reads of earlier layers say which; without, alike layers read alike.
    """
    return _written(node, laws, _earlier(unit) if unit is not None else {})[0]


def _earlier(unit: Unit) -> dict[str, str]:
    """What a layer reads or borrows of earlier ones, by its name in the graph."""
    reached = {reach.name: f"at({reach.path}, {reach.layer})" for reach in unit.reaches}
    lent = {loan.name: f"at({loan.line}, {loan.layer})" for loan in unit.loans if loan.layer is not None}
    return reached | lent


def _written(node: Node, laws: bool, earlier: dict[str, str]) -> tuple[str, int]:
    """The text, and how tightly it binds."""
    if isinstance(node, Read):
        return earlier.get(node.name) or _elsewhere(node.name), ATOM
    if isinstance(node, Inside):
        inside = f"{node.call.name}.{node.path}"
        return (inside if node.layer is None else f"at({inside}, {node.layer})"), ATOM
    inputs = [_written(part, laws, earlier) for part in parts(node)]
    if isinstance(node, Apply) and isinstance(node.primitive, Arithmetic):
        return _sum_or_product(node.primitive, inputs)
    if isinstance(node, Apply) and isinstance(node.primitive, Negate):
        return f"-{_bound(inputs[0], NEGATION)}", NEGATION
    if isinstance(node, Apply) and isinstance(node.primitive, Pick):
        return f"{_bound(inputs[0], ATOM)}[{_subscript(node)}]", ATOM
    texts = [text for text, _ in inputs]
    if isinstance(node, Apply):
        texts += _settings(node.primitive, laws and node.weights is None) + _weights(node, earlier)
        return f"{node.primitive.name}({', '.join(texts)})", ATOM
    assert isinstance(node, Call)
    unit = called(node)[0]
    return f"{unit.name}({', '.join(texts + _arguments(unit) + _weights(node, earlier))})", ATOM


def _elsewhere(name: str) -> str:
    """A name of the graph as a spec writes it: `at.x` stands in an earlier layer, and `lent.x` owns weights there."""
    head, _, rest = name.partition(".")
    return f"at({rest}, ..)" if head in ("at", "lent") and rest else name


def _weights(node: Apply | Call, earlier: dict[str, str]) -> list[str]:
    """Whose weights a call borrows."""
    if node.weights is None:
        return []
    return [f"weights={earlier.get(node.weights.name) or _elsewhere(node.weights.name)}"]


def _bound(part: tuple[str, int], needed: int) -> str:
    text, tightness = part
    return f"({text})" if tightness < needed else text


def _sum_or_product(primitive: Arithmetic, inputs: list[tuple[str, int]]) -> tuple[str, int]:
    own = BINDING[primitive.operator]
    if primitive.number is not None:
        number = (shown(primitive.number), ATOM if primitive.number >= 0 else NEGATION)
        inputs.insert(0 if primitive.number_first else 1, number)
    left, right = inputs
    power = primitive.operator == "**"
    return f"{_bound(left, own + power)} {primitive.operator} {_bound(right, own + (not power))}", own


def _subscript(node: Apply) -> str:
    primitive = node.primitive
    assert isinstance(primitive, Pick)
    items = []
    for item in primitive.items:
        if isinstance(item, slice):
            start, stop = ("" if bound is None else str(bound) for bound in (item.start, item.stop))
            items.append(f"{start}:{stop}")
        else:
            items.append(str(item))
    return ", ".join(items)


def _settings(primitive: Primitive, laws: bool) -> list[str]:
    """Settings that differ from their defaults; those without one stand by position."""
    texts = []
    for setting in attrs.fields(type(primitive)) if attrs.has(type(primitive)) else ():
        kind, value = setting.metadata.get("kind"), getattr(primitive, setting.name)
        if kind in LAWS and not laws:
            continue
        if kind == "sizes":
            texts += map(str, value)
        elif setting.default is attrs.NOTHING:
            texts.append(_value(value))
        elif value != setting.default:
            texts.append(f"{setting.name}={initial.shown(value) if kind == 'init' else _value(value)}")
    return texts


def _arguments(unit: Unit) -> list[str]:
    """What a module was given by name; a stack's numbers are facts of its layers."""
    if unit.kind != "module":
        return []
    return [
        *(f"{name}={_value(value)}" for name, value in unit.numbers.items()),
        *(f"{name}={module}" for name, module in unit.modules.items()),
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


@define(eq=False)
class Forms:
    """Numbers units by what they compute: one number, the same equations on the same shapes, all the way down.

    Without `laws`, how parameters begin and who moves them does not count.
    """

    laws: bool = True
    seen: dict[Unit, int] = field(factory=dict)
    keys: dict[tuple, int] = field(factory=dict)

    def of(self, unit: Unit) -> int:
        if unit not in self.seen:
            inputs = tuple((name, value.described) for name, value in unit.passed)
            key = (unit.kind, unit.name, inputs, tuple(map(self._line, unit.lines)), unit.results)
            self.seen[unit] = self.keys.setdefault(key, len(self.keys))
        return self.seen[unit]

    def _line(self, line) -> tuple:
        inner = tuple(self.of(unit) for node in nodes(line.node) for unit in called(node))
        return line.name, written(line.node, laws=self.laws), line.node.value.described, inner

    def outline(self, unit: Unit) -> tuple:
        """A key that units share whose equations differ in numbers and settings alone."""
        lines = tuple((line.name, _VALUES.sub("#", written(line.node, laws=False))) for line in unit.lines)
        stacks = tuple(
            self.of(layer)
            for line in unit.lines
            for node in nodes(line.node)
            for layer in called(node)
            if layer.kind == "stack"
        )
        return unit.kind, unit.name, tuple(name for name, _ in unit.passed), lines, unit.results, stacks


_VALUES = re.compile(r"(?<==)[^,()]+|(?<![\w.)\]])-?\d[\w.]*")
_PARTS = re.compile(r"[A-Za-z_][\w.]*|-?\d[\w.]*|.")
MOST = 3  # of what may stand in one place, written out


def merged(texts: Iterable[str]) -> str:
    """One text for several that differ in single words or numbers: `linear(x, 96|64)`."""
    texts = list(dict.fromkeys(texts))
    split = [_PARTS.findall(text) for text in texts]
    if len({len(words) for words in split}) > 1:
        return either(texts, " | ")
    return "".join(either(words, "|") for words in zip(*split, strict=True))


def either(texts: Iterable[str], bar: str) -> str:
    """The texts that are not the same, the first few of them."""
    found = list(dict.fromkeys(texts))
    return bar.join(found if len(found) <= MOST else [*found[:MOST], ".."])
