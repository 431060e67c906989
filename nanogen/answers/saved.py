"""Activations that training keeps for backward, when run eagerly: each value once, however many read it."""

from __future__ import annotations

from attrs import define, field, frozen

from nanogen.graph import Apply, Climb, Enter, Graph, Node, Read, Unit, nodes
from nanogen.load import Load, Value
from nanogen.primitives.axes import Flatten, Pick, Repeat, Split

VIEWS = (Split, Flatten, Pick, Repeat)  # their result is their input's memory


@frozen
class Kept:
    """Elements kept, by how they are stored."""

    run: int = 0
    wide: int = 0
    ids: int = 0

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.run + other.run, self.wide + other.wide, self.ids + other.ids)

    def bytes(self, run_bytes: int) -> int:
        """Bytes, where the run's dtype has `run_bytes` (ids are 8)."""
        return self.run * run_bytes + self.wide * 4 + self.ids * 8


@define(eq=False)
class _Walk:
    """One unit being walked: which of its values are kept."""

    unit: Unit
    load: Load
    memo: dict[Unit, _Walk]
    total: Kept = field(factory=Kept)
    kept: dict[object, Value] = field(factory=dict)  # by identity of a node, or by name of an input

    def keep(self, node: Node) -> None:
        key, value = self.source(node)
        self.kept.setdefault(key, value)

    def source(self, node: Node) -> tuple[object, Value]:
        """The node whose memory a node's value is."""
        inputs = dict(self.unit.inputs)
        while True:
            if isinstance(node, Read) and node.name in inputs:
                return node.name, node.value
            if isinstance(node, Read):
                node = self.unit.line(node.name).node
            elif isinstance(node, Apply) and isinstance(node.primitive, VIEWS):
                node = node.inputs[0]
            else:
                return node, node.value

    def run(self) -> _Walk:
        for line in self.unit.lines:
            for node in nodes(line.node):
                if isinstance(node, Apply):
                    self.apply(node)
                elif isinstance(node, Enter):
                    self.enter(node)
                elif isinstance(node, Climb):
                    self.climb(node)
        own = {k: v for k, v in self.kept.items() if isinstance(k, Node)}
        for value in own.values():
            self.total += self.of(value)
        return self

    def of(self, value: Value) -> Kept:
        elements = self.load.elements(value)
        if not value.timed:
            return Kept()  # a parameter: weights, not activations
        return {"ids": Kept(ids=elements), "float32": Kept(wide=elements)}.get(value.dtype, Kept(run=elements))

    def apply(self, node: Apply) -> None:
        found = node.primitive.saved(self.load, node.value, *node.values)
        for place in found.inputs:
            self.keep(node.inputs[place])
        if found.output:
            self.keep(node)
        self.total += Kept(run=found.run, wide=found.wide)

    def enter(self, node: Enter) -> None:
        inner = self.inner(node.unit)
        self.total += inner.total
        for (name, _), given in zip(node.unit.inputs, node.inputs, strict=True):
            if name in inner.kept:
                self.keep(given)
        if self.keeps_result(inner):
            self.kept.setdefault(node, Value((), timed=False))  # counted inside already

    def climb(self, node: Climb) -> None:
        for name, given in zip((n for n, _ in node.layers[0].inputs), node.inputs, strict=True):
            if name in self.inner(node.layers[0]).kept:
                self.keep(given)
        for below, layer in zip((None, *node.layers), node.layers, strict=False):
            inner = self.inner(layer)
            self.total += inner.total
            if below is None:
                continue
            for name in layer.results:  # what the layer below left and this one keeps
                if name in inner.kept and not self.keeps_result(self.inner(below)):
                    self.total += self.of(dict(layer.inputs)[name])

    def keeps_result(self, inner: _Walk) -> bool:
        return any(inner.source(inner.unit.line(name).node)[0] in inner.kept for name in inner.unit.results)

    def inner(self, unit: Unit) -> _Walk:
        if unit not in self.memo:
            self.memo[unit] = _Walk(unit, self.load, self.memo).run()
        return self.memo[unit]


def saved(graph: Graph, load: Load) -> Kept:
    """What one forward pass keeps for its backward; token ids that the model is given are counted once."""
    walk = _Walk(graph.model, load, {}).run()
    given = {k: v for k, v in walk.kept.items() if isinstance(k, str)}
    return sum((walk.of(v) for v in given.values()), walk.total)
