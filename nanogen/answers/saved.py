"""Activations that training keeps for backward, when run eagerly: each value once, however many read it.

Not counted: weights and what is computed from them alone, rotary tables, and the mask of a window.
What enters the first turn that gradients reach is counted as if it wanted a gradient of its own.
Attention is counted as a fused kernel keeps it; where PyTorch has none, it keeps all scores as well.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from nanogen.graph import Apply, Climb, Enter, Graph, Inside, Loop, Node, Read, Unit, called
from nanogen.load import Load, Value
from nanogen.primitives.axes import Flatten, Pick, Repeat, Split

VIEWS = (Split, Flatten, Pick, Repeat)  # their result is their input's memory
COUNTED = Value((), timed=False)  # stands for a result that the unit inside counts


@frozen
class Kept:
    """Elements kept, by how they are stored."""

    run: int = 0
    wide: int = 0
    ids: int = 0

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.run + other.run, self.wide + other.wide, self.ids + other.ids)

    def times(self, count: int) -> Kept:
        return Kept(self.run * count, self.wide * count, self.ids * count)

    def bytes(self, run_bytes: int) -> int:
        """Bytes, where the run's dtype has `run_bytes` (ids are 8)."""
        return self.run * run_bytes + self.wide * 4 + self.ids * 8


@define(eq=False)
class _Walk:
    """One unit being walked: which of its values are kept."""

    unit: Unit
    load: Load
    narrow: bool
    memo: dict[Unit, _Walk]
    total: Kept = field(factory=Kept)
    kept: dict[object, Value] = field(factory=dict)  # by identity of a node, or by name of an input
    left: dict[Climb, set[tuple[int, str]]] = field(factory=dict)  # values of layers that are counted already

    def keep(self, node: Node) -> None:
        key, value = self.source(node)
        self.kept.setdefault(key, value)

    def source(self, node: Node) -> tuple[object, Value]:
        """The node whose memory a node's value is: through names, views, and what hands its input on."""
        if isinstance(node, Inside):
            return self.source_inside(node)
        below = self.below(node)
        if below is not None:
            return self.source(below)
        return (node.name if isinstance(node, Read) else node), node.value

    def source_inside(self, node: Inside) -> tuple[object, Value]:
        """A value inside a call is counted there, where the call keeps it; a stack of values is a copy."""
        key = (node.call.name, node.path, node.layer)
        call = self.unit.line(node.call.name).node
        last = isinstance(call, Enter) or (isinstance(call, Climb) and node.layer == len(call.layers) - 1)
        if last and node.path == called(call)[-1].results[0]:
            return self.source(call)  # the result of the call itself
        if isinstance(call, Climb) and node.layer is not None:
            self.climb(call)
            counted = (node.layer, node.path) in self.left[call]
            inner = self.inner(call.layers[node.layer])
        elif isinstance(call, Enter):
            counted, inner = False, self.inner(call.unit)
        else:
            return key, node.value
        return key, COUNTED if counted or self.keeps(inner, node.path) else node.value

    def below(self, node: Node) -> Node | None:
        """What a node shows in another form; None where it has memory of its own, or is an input."""
        if isinstance(node, Read):
            given = dict(self.unit.passed)
            return None if node.name in given else self.unit.line(node.name).node
        if isinstance(node, Apply) and isinstance(node.primitive, VIEWS):
            copies = isinstance(node.primitive, Flatten) and self.scattered(node.inputs[0])
            return None if copies else node.inputs[0]
        if isinstance(node, Enter):
            return self.handed_on(node, self.inner(node.unit), node.unit.results[0])
        return None

    def scattered(self, node: Node) -> bool:
        """Whether a value has several axes with gaps between them in memory, so that joining them copies."""
        if len(node.value.axes) < 2:
            return False
        below = self.below(node)
        picked = isinstance(node, Apply) and isinstance(node.primitive, Pick | Repeat)
        return picked or (below is not None and self.scattered(below))

    def handed_on(self, node: Enter, inner: _Walk, result: str) -> Node | None:
        """The input that a module gives back as it is, if it does."""
        key, _ = inner.source(inner.unit.line(result).node)
        names = [name for name, _ in node.unit.inputs]
        return node.inputs[names.index(key)] if isinstance(key, str) else None

    def run(self) -> _Walk:
        for node in self.unit.nodes:
            if isinstance(node, Apply):
                self.apply(node)
            elif isinstance(node, Enter):
                self.enter(node)
            elif isinstance(node, Climb):
                self.climb(node)
            elif isinstance(node, Loop):
                self.turn(node)
        for key, value in self.kept.items():
            if not isinstance(key, str):  # an input is counted where it comes from
                self.total += self.of(value)
        return self

    def of(self, value: Value) -> Kept:
        elements = self.load.elements(value)
        if not value.timed and value.dtype != "ids":
            return Kept()  # a parameter: weights, not activations
        return {"ids": Kept(ids=elements), "float32": Kept(wide=elements)}.get(
            value.dtype, Kept(run=elements)
        )

    def apply(self, node: Apply) -> None:
        found = node.primitive.saved(self.load, node.value, *node.values)
        for kept in (*(node.inputs[place] for place in found.inputs), *[node] * found.output):
            if found.widened and self.narrow and kept.value.dtype == "run":
                self.total += Kept(wide=self.load.elements(kept.value) * kept.value.timed)
            else:
                self.keep(kept)
        self.total += Kept(run=found.run, wide=found.wide)

    def enter(self, node: Enter) -> None:
        inner = self.inner(node.unit)
        self.total += inner.total
        for (name, _), given in zip(node.unit.inputs, node.inputs, strict=True):
            if name in inner.kept:
                self.keep(given)
        if self.keeps(inner, node.unit.results[0]):
            self.kept.setdefault(node, COUNTED)

    def climb(self, node: Climb) -> None:
        if node in self.left:
            return
        inner = [self.inner(layer) for layer in node.layers]
        results = node.layers[0].results
        counted = self.left[node] = set()
        for (name, _), given in zip(node.layers[0].inputs, node.inputs, strict=True):
            readers = inner[:1] if name in results else inner
            if any(name in reader.kept for reader in readers):
                self.keep(given)
        for index, layer in enumerate(inner):
            self.total += layer.total
            for name, value in layer.unit.inputs if index else ():
                if name in results and name in layer.kept:  # what the layer below left and this one keeps
                    self.count(inner, (index - 1, name), value, counted)
            for reach in layer.unit.reaches:
                if reach.name in layer.kept:
                    self.count(inner, (reach.layer, reach.path), reach.value, counted)
        if self.keeps(inner[-1], results[0]):
            self.kept.setdefault(node, COUNTED)

    def count(
        self, inner: list[_Walk], left: tuple[int, str], value: Value, counted: set[tuple[int, str]]
    ) -> None:
        """Count a value that a layer left for another one, once, unless that layer keeps it itself."""
        if left not in counted and not self.keeps(inner[left[0]], left[1]):
            self.total += self.of(value)
        counted.add(left)

    def turn(self, node: Loop) -> None:
        """Only the turns that gradients reach keep anything."""
        inner, turns = self.inner(node.body), node.turns(evolve(self.load, reached=True))
        results = node.body.results
        self.total += inner.total.times(turns)
        first = turns == node.turns(
            evolve(self.load, reached=False)
        )  # what enters the first turn is kept then
        for (name, _), given in zip(node.body.inputs, node.inputs, strict=False):
            if name in inner.kept and (first or name not in results):
                self.keep(given)
        if "turn" in inner.kept:  # one number a turn
            self.total += Kept(ids=turns)
        for (
            name
        ) in results:  # what a turn left and the next one keeps; no gradient reaches the one before the first
            if name in inner.kept:
                entered = not first if self.keeps(inner, name) else turns - first
                self.total += self.of(dict(node.body.inputs)[name]).times(entered)
        if self.keeps(inner, results[0]):
            self.kept.setdefault(node, COUNTED)

    def keeps(self, inner: _Walk, result: str) -> bool:
        """Whether a unit keeps the result itself, so that whoever reads it need not."""
        key, value = inner.source(inner.unit.line(result).node)
        return key in inner.kept or value is COUNTED

    def inner(self, unit: Unit) -> _Walk:
        if unit not in self.memo:
            self.memo[unit] = _Walk(unit, self.load, self.narrow, self.memo).run()
        return self.memo[unit]


def saved(graph: Graph, load: Load, *, narrow: bool = False) -> Kept:
    """What one forward pass keeps for its backward; token ids that the model is given are counted once.

    `narrow` says that the run's dtype is less than float32: norms and softmax then keep wide copies.
    """
    walk = _Walk(graph.model, load, narrow, {}).run()
    given = {k: v for k, v in walk.kept.items() if isinstance(k, str)}
    return sum((walk.of(v) for v in given.values()), walk.total)
