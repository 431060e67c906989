"""Paths of modules as lines of a table: layers of one kind together, and in them what their equations call.

    places = Places.of(graph)
    places.line("trunk.3.mix.q")         # Line("trunk, slc2", "mix")
    places.cost("trunk.3", load, 2)      # what a call of that layer takes at least

Knows nothing of traces and clocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from nanogen.answers import flops
from nanogen.answers.backward import Backward, Reached
from nanogen.answers.parameters import count_unit
from nanogen.answers.reads import weights_read
from nanogen.answers.regions import regions
from nanogen.graph import Call, Graph, Unit, owner_of
from nanogen.load import Load

WIDE = 4  # bytes of a float32: the gradients of weights


@frozen
class Line:
    """A line of the table: a kind of layer, or a module beside the layers; and the part of it, where there is one."""

    kind: str
    part: str = ""


@frozen
class Cost:
    """FLOPs, and the bytes that have to move whatever the code: weights, what enters, what leaves."""

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, count: float) -> Cost:
        return Cost(self.flops * count, self.bytes * count)

    def seconds(self, peak: float, bandwidth: float) -> float:
        """The least that a device takes: its roofline."""
        return max(self.flops / peak, self.bytes / bandwidth)


@frozen
class Places:
    """What a graph says of the modules of its source, by their paths."""

    graph: Graph
    units: dict[str, Unit]
    kinds: dict[str, str] = field(factory=dict)  # of each layer and turn that is a region

    @classmethod
    def of(cls, graph: Graph) -> Places:
        units = dict(_units(graph.model, ""))
        return cls(graph, units, {path: _kind(path, units[path]) for path in regions(graph)})

    def region(self, path: str) -> str | None:
        """The layer that a path lies in, itself perhaps."""
        return next((r for r in self.kinds if path == r or path.startswith(f"{r}.")), None)

    def line(self, path: str) -> Line:
        """Of a layer the first name within; of what lies beside the layers its own."""
        region = self.region(path)
        if region is None:
            return Line(path)
        return Line(self.kinds[region], path[len(region) + 1 :].partition(".")[0])

    def cost(self, path: str, load: Load, run_bytes: int) -> tuple[Cost, Cost]:
        """Of one call of a layer, forward and backward."""
        unit = self.units[path]
        forward = flops.of_unit(unit, load).matmul
        wanted = frozenset(unit.results[:1])
        backward = Backward(load).of_unit(Reached(unit, wanted)).flops.matmul
        passed = sum(load.elements(value) for _, value in unit.inputs)
        moved = (passed + load.elements(unit.value(unit.results[0]))) * run_bytes
        weights = weights_read(unit, load, run_bytes)
        # backward reads what forward did and the gradient of what left, and writes those of weights and of what entered
        return Cost(forward, weights + moved), Cost(backward, weights + 2 * moved + WIDE * count_unit(unit))

    def beside(self, load: Load, run_bytes: int) -> tuple[Cost, Cost]:
        """Of the model without its calls, forward and backward: the head. What passes there is left out."""
        whole = Backward(load).of_unit(Reached.whole(self.graph))
        forward, backward = Cost(), Cost()
        for line in self.graph.model.lines:
            if isinstance(owner_of(line), Call):
                continue
            alone = Unit("model", "", (), (line,), (line.name,))
            weights = weights_read(alone, load, run_bytes)
            forward += Cost(flops.of_unit(alone, load).matmul, weights)
            grown = weights + WIDE * count_unit(alone) if weights else 0  # of a table, a few rows
            backward += Cost(whole.lines[line.name].matmul, grown)
        return forward, backward


def _units(unit: Unit, prefix: str) -> Iterator[tuple[str, Unit]]:
    for line in unit.lines:
        owner = owner_of(line)
        for suffix, inner in owner.members if isinstance(owner, Call) else ():
            path = f"{prefix}{line.name}{suffix}"
            yield path, inner
            yield from _units(inner, f"{path}.")


def _kind(path: str, unit: Unit) -> str:
    """`trunk, slc2`: the place without numbers, and what the layer chose."""
    place = ".".join(part for part in path.split(".") if not part.isdecimal())
    return ", ".join([place, *unit.modules.values()])
