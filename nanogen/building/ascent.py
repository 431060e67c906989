"""A stack being climbed: its layers built one after another, each with what the layer before left.

A layer may read what an earlier one left, or what stands inside it; the earlier one then hands that out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from nanogen.graph import Climb, Node, Unit
from nanogen.language.arithmetic import Unknown
from nanogen.language.tables import Table
from nanogen.load import Value
from nanogen.text.diagnostics import Reject, Stop

if TYPE_CHECKING:
    from nanogen.building.build import Builder


@define(eq=False)
class Ascent:
    """The layers of one call of a stack. `claims` is what each choice stands for, layer by layer."""

    builder: Builder
    table: Table
    start: dict[str, Value]  # what enters the first layer
    claims: list[dict[str, str]]
    around: list[Table] = field(factory=list)  # tables being built where the stack is called
    layers: list[Unit] = field(factory=list)
    entered: list[dict[str, Value]] = field(factory=list)
    wants: list[tuple[str, ...]] = field(factory=list)

    def climb(self) -> bool:
        """Build all layers; False where a fault left one out."""
        values, whole = self.start, True
        for index in range(len(self.claims)):
            self.entered.append(values)
            self.wants.append(())
            layer = self.build(index)
            if isinstance(layer, Unknown):
                whole = False  # the other layers show what else is wrong
                continue
            if not self.keeps_shape(layer, values):
                return False
            if whole:
                self.layers.append(layer)
                self.reached(layer)
            left = {name: layer.value(name) for name in self.table.results}
            if any(values[name] != value for name, value in left.items()):
                values = {**values, **left}
        return whole and bool(self.layers)

    def build(self, index: int) -> Unit | Unknown:
        """Build a layer; one that stands already is built again with more results while another waits for it."""
        waiting, self.builder.active = self.builder.active, list(self.around)
        try:
            return self.builder.unit(
                self.table,
                self.entered[index],
                index=index,
                modules=self.claims[index],
                wants=self.wants[index],
                ascent=self,
            )
        finally:
            self.builder.active = waiting

    def reached(self, layer: Unit) -> None:
        """Let earlier layers hand out what a layer reads; where it was met before, these layers were others."""
        for reach in layer.reaches:
            self.export(reach.path, reach.layer)

    def value(self, path: str, layer: int) -> Value:
        """Shape of a value of a layer below; raises Reject."""
        if layer >= len(self.layers):
            raise Stop(None)  # that layer has a fault of its own
        return self.export(path, layer)

    def export(self, path: str, layer: int) -> Value:
        """Let a layer hand out a value that stands in it; raises Reject."""
        if path not in self.layers[layer].results:
            self.wants[layer] = tuple(sorted({*self.wants[layer], path}))
            rebuilt = self.rebuilt(layer)
            if isinstance(rebuilt, Unknown):
                raise Stop(None)
            self.layers[layer] = rebuilt
            self.reached(rebuilt)
        return self.layers[layer].value(path)

    def rebuilt(self, index: int) -> Unit | Unknown:
        """Build a layer again, where a layer above may be under way: that is no call of the stack in itself."""
        active = self.builder.active
        under_way = [place for place, table in enumerate(active) if table is self.table]
        self.builder.active = active[: under_way[0]] if under_way else active
        try:
            return self.build(index)
        finally:
            self.builder.active = active

    def export_all(self, path: str) -> Value:
        """Let every layer that has a value hand it out; on a new first axis. Raises Reject."""
        found: list[Value] = []
        fault: Reject | None = None
        for index in range(len(self.layers)):
            before = self.wants[index]
            try:
                found.append(self.export(path, index))
            except Reject as reject:
                self.wants[index], fault = before, reject
        if not found:
            assert fault is not None
            raise fault
        if len(set(found)) > 1:
            shapes = " and as ".join(sorted({str(v) for v in found})[:2])
            message = f"the layers have `{path}` as {shapes}, which do not stack"
            raise Reject("NG313", message, f"read one layer: `at(.., j)`, or leave `{path}` alike")
        return Value((len(found), *found[0].axes), found[0].dtype, found[0].timed)

    def keeps_shape(self, layer: Unit, values: dict[str, Value]) -> bool:
        for name in self.table.results:
            left, came = layer.value(name), values[name]
            if left.axes != came.axes:
                message = f"a layer takes `{name}` as {came} and leaves it as {left}"
                help = "layers follow one another: what leaves one enters the next"
                self.builder.findings.note("NG313", message, self.table.equations[name].place(), help=help)
                return False
        return True

    def node(self, inputs: tuple[Node, ...]) -> Climb:
        """The call, once all layers stand; it shares the list of layers, which may be exchanged later."""
        value = self.layers[-1].value(self.table.results[0])
        return Climb(value, inputs, stack=self.table.name, layers=self.layers)
