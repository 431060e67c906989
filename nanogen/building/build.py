"""Typed spec to graph: tables become units, stacks are climbed, loops turned, faults collected.

A part that is refused becomes UNKNOWN, which passes through every rule in silence: one fault is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from nanogen.building.ascent import Ascent
from nanogen.building.evaluate import Evaluator, Module, Result
from nanogen.building.frame import Frame, circle_of, entering, known_numbers
from nanogen.building.layers import Claims
from nanogen.building.names import Names
from nanogen.graph import Call, Enter, Graph, Loop, Node, Unit
from nanogen.language import arithmetic
from nanogen.language.arithmetic import UNKNOWN, Unknown
from nanogen.language.dials import MOST, Dial
from nanogen.language.expression import Name
from nanogen.language.spec import Spec
from nanogen.language.tables import Equation, Table
from nanogen.load import Value
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place, Reject, Stop, nearest

MAX_LAYERS = 2_000  # of one stack
MAX_LINES = 100_000  # of the whole model, layers and modules expanded
MAX_DEPTH = 100  # calls one inside another
MAX_TURNED = MOST**2  # of a body, in loops in loops


def build(spec: Spec, names: Names) -> tuple[Graph | None, list[Diagnostic]]:
    """Return the graph, and what is wrong with numbers and shapes; no graph where the model is unknown."""
    builder = Builder(spec, names)
    try:
        graph = builder.graph()
    except RecursionError:
        message, help = "equations wait for one another in too long a chain", "repeat a body by a stack"
        return None, [Diagnostic("NG404", message, Place(spec.model.path), help=help)]
    return graph, builder.findings.all


class Builder:
    """One spec being built: its dims, and its units as they are met."""

    def __init__(self, spec: Spec, names: Names):
        self.spec, self.names = spec, names
        self.findings = Findings(once_a_place=True)
        self.units: dict[tuple, Unit | Unknown] = {}
        self.exports: dict[Call, Callable[[str, int | None], Value]] = {}  # how calls hand out what is inside
        self.root: Frame | None = None  # the model's
        self.active: list[Table] = []  # tables being built, to tell a table that calls itself
        self.climbed = 0  # layers of all stacks so far
        self.steps = 0  # parts of equations computed so far
        self.dims: dict[str, Any] = {}

    def graph(self) -> Graph | None:
        self.compute_dims()
        for name in ("vocab", "context"):
            if name in self.dims and not isinstance(self.dims[name], Unknown):
                self.check_size(name)
        model = self.unit(self.spec.model, {"tokens": self.ids("vocab"), "positions": self.ids("context")})
        if isinstance(model, Unknown) or any(isinstance(v, Unknown) for v in self.dims.values()):
            return None
        if self.spec.refused:
            return None
        self.check_logits(model)
        return Graph(self.spec.name, model, dict(self.dims), self.spec.turned)

    def ids(self, dim: str) -> Value:
        """Ids below a dim; where that has a fault of its own, nothing more is said of them."""
        limit = self.dims.get(dim)
        return Value((), "ids", ids=limit if isinstance(limit, int) else 0)

    def compute_dims(self) -> None:
        frame = self.outside()
        frame.table = Table("dims", "dims", ("dims",), inputs=(), equations=self.spec.dims)
        self.dims = {name: self.number_or_list(frame.lookup(name), name) for name in self.spec.dims}

    def outside(self, of: str = "dims", index: int | None = None) -> Frame:
        """A frame that knows dims alone, and perhaps the layer's index; `of` is the table that is read."""
        return Frame(self, Table("dims", of, ("dims",), inputs=()), {}, index)

    def number_or_list(self, found: Result, name: str) -> Result:
        if isinstance(found, Node | Module):
            message = f"the dim `{name}` is {arithmetic.kind_of(found)}"
            help = "a dim is a number, or a list of numbers"
            self.findings.note("NG207", message, self.spec.dims[name].place(), help=help)
            return UNKNOWN
        return found

    def check_size(self, name: str) -> None:
        try:
            self.dims[name] = arithmetic.whole(self.dims[name], f"`{name}`")
        except Reject as fault:
            self.findings.add(fault.at(self.spec.dims[name].place()))
            self.dims[name] = UNKNOWN

    def check_logits(self, model: Unit) -> None:
        value, vocab = model.value("logits"), self.dims["vocab"]
        if value.axes != (vocab,) or not value.timed:
            message = f"`logits` has shape {value}, and the vocabulary makes B T {vocab}"
            help = "map the last axis to `vocab` channels, or crop it: `head[:vocab]`"
            help = help if value.timed else "compute it from `tokens`: this is the same at every position"
            self.findings.note("NG314", message, self.spec.model.equations["logits"].place(), help=help)

    # -- units

    def unit(
        self,
        table: Table,
        inputs: dict[str, Value],
        *,
        args: dict[str, Result] | None = None,
        index: int | None = None,
        modules: dict[str, str] | None = None,
        wants: tuple[str, ...] = (),
        ascent: Ascent | None = None,
    ) -> Unit | Unknown:
        """Return the unit of a table with these inputs; alike units are one object.

        `wants` are paths that are read inside it, from outside. Raises Reject where there is no such value.
        """
        args, modules = args or {}, modules or {}
        seen = index if table.name in self.names.indexed else None
        below = tuple(ascent.start.items()) if ascent is not None and seen is not None else None
        alike = (table.path, tuple(inputs.items()), _hashable(args), seen, tuple(modules.items()), below)
        if (alike, wants) not in self.units:
            frame = Frame(self, table, entering(inputs), index, ascent=ascent)
            frame.constants.update(args)
            frame.constants.update({choice: self.chosen(name) for choice, name in modules.items()})
            self.units[alike, wants] = self._unit(frame, args, modules, wants, alike)
        return self.units[alike, wants]

    def _unit(self, frame: Frame, args, modules, wants: tuple[str, ...], alike: tuple) -> Unit | Unknown:
        table = frame.table
        if self.calls_itself(table):
            return UNKNOWN
        if table.kind == "model":
            self.root = frame
        self.active.append(table)
        try:
            results = [frame.equation(name) for name in table.results]
            more = [self.want(frame, path) for path in wants]
        finally:
            self.active.pop()
        if not results or any(not isinstance(r, Node) for r in results):
            frame.want_values(table.results, results)
            return UNKNOWN
        if any(isinstance(r, Unknown) for r in more) or not frame.share():
            return UNKNOWN
        handed = {n: a.name for n, a in args.items() if isinstance(a, Module)}
        unit = Unit(
            table.kind,
            table.name,
            tuple((name, read.value) for name, read in frame.inputs.items()),
            frame.ordered_lines(),
            tuple(dict.fromkeys((*table.results, *wants))),
            known_numbers(frame.memo, args),
            {**modules, **handed},
            tuple(frame.reaches.values()),
            frame.all_loans(),
            alike,
        )
        return unit if self.countable(unit.expanded, table) and self.shallow(unit, table) else UNKNOWN

    def want(self, frame: Frame, path: str) -> Result:
        """A value that is read from outside of its table; raises Reject where there is none."""
        table, head = frame.table, path.partition(".")[0]
        if head not in table.equations and head not in table.refused:
            message = f"nothing is called `{head}` in {table.described}"
            raise Reject("NG201", message, nearest(head, table.equations))
        found = frame.wanted(path)
        if not isinstance(found, Node | Unknown):
            message = f"`{path}` in {table.described} is {arithmetic.kind_of(found)}, not a value"
            raise Reject(
                "NG204", message, "values are read inside calls; a number is computed where it is needed"
            )
        return found

    def chosen(self, name: str) -> Result:
        """What a choice stands for: a module, or a dim."""
        return Module(name) if name in self.spec.tables else self.dims.get(name, UNKNOWN)

    def calls_itself(self, table: Table) -> bool:
        if all(table is not t for t in self.active):
            return False
        circle = [t.name for t in self.active[self.active.index(table) :]] + [table.name]
        through = f": {circle_of(circle)}" if len(circle) > 2 else ""
        help = "a stack repeats a body, each layer with its own weights"
        self.findings.note("NG203", f"{table.described} calls itself{through}", Place(table.path), help=help)
        return True

    def countable(self, lines: int, table: Table) -> bool:
        if lines > MAX_LINES:
            message = f"{table.described} expands to {lines:,} equations, more than {MAX_LINES:,}"
            help = "fewer layers, or fewer modules that call modules"
            self.findings.note("NG404", message, Place(table.path), help=help)
        return lines <= MAX_LINES

    def shallow(self, unit: Unit, table: Table) -> bool:
        """Whether calls in calls, and loops in loops, are no more than whoever follows them can take."""
        message = help = ""
        if unit.depth > MAX_DEPTH:
            message = f"{table.described} is {unit.depth:,} calls deep, more than {MAX_DEPTH:,}"
            help = "fewer modules that call modules; a stack repeats a body"
        elif unit.turned > MAX_TURNED:
            message = f"loops in loops turn a body {unit.turned:,} times, more than {MAX_TURNED:,}"
            help = "lower `times`, or the `max` of a dial"
        if message:
            self.findings.note("NG404", message, Place(table.path), help=help)
        return not message

    # -- calls

    def enter(
        self, table: Table, inputs: tuple[Node, ...], args: dict[str, Result], index: int | None
    ) -> Call | Unknown:
        """Call a table: a module is entered, a stack climbed, a loop turned."""
        values = dict(zip(table.inputs, (n.value for n in inputs), strict=True))
        if table.kind == "stack":
            return self.climb(table, inputs, values)
        if table.kind == "loop":
            return self.turn(table, inputs, values, index)
        unit = self.unit(table, values, args=args, index=index)
        if isinstance(unit, Unknown):
            return UNKNOWN
        node = Enter(unit.value("y"), inputs, unit=unit)

        def export(path: str, layer: int | None) -> Value:
            if path not in node.unit.results:
                wants = tuple(sorted({*node.unit.results[1:], path}))
                found = self.unit(table, values, args=args, index=index, wants=wants)
                if isinstance(found, Unknown):
                    raise Stop(None)
                node.unit = found
            return node.unit.value(path)

        self.exports[node] = export
        return node

    def export(self, call: Call, path: str, layer: int | None) -> Value:
        """Let a call hand out a value that stands inside it; raises Reject."""
        if call not in self.exports:
            help = "carry the value out of the loop as an input with an equation"
            raise Reject("NG104", "reads inside a loop are not in this compiler yet", help)
        return self.exports[call](path, layer)

    def climb(self, table: Table, inputs: tuple[Node, ...], values: dict[str, Value]) -> Call | Unknown:
        """Climb a stack: build each layer with the values that the layer before left."""
        count = self.layer_count(table)
        if isinstance(count, int):
            claims = self.claims(table, count)
        else:  # one layer still shows what is wrong inside it
            claims = [{c.name: c.rules[0].module for c in table.choices.values() if c.rules}]
        ascent = Ascent(self, table, values, claims, list(self.active))
        whole = ascent.climb() and isinstance(count, int)
        if not whole or not self.countable(sum(u.expanded for u in ascent.layers), table):
            return UNKNOWN
        node = ascent.node(inputs)
        self.exports[node] = lambda path, layer: (
            ascent.export_all(path) if layer is None else ascent.export(path, layer)
        )
        return node

    def turn(
        self, table: Table, inputs: tuple[Node, ...], values: dict[str, Value], index: int | None
    ) -> Call | Unknown:
        """Turn a loop: its body is built once, for what leaves a turn enters the next."""
        times, backprop = self.times(table), self.turns_reached(table)
        if table.name in self.names.turning:
            most = times.most if isinstance(times, Dial) else times if isinstance(times, int) else 1
            values = {**values, "turn": Value((), "ids", timed=False, ids=most)}
        body = self.unit(table, values, index=index)
        if isinstance(body, Unknown) or isinstance(times, Unknown) or isinstance(backprop, Unknown):
            return UNKNOWN
        for name in table.results:
            left, came = body.value(name), values[name]
            if left != came:
                widths = " and leaves it as ".join(
                    f"{v} float32" if v.dtype == "float32" else f"{v}" for v in (came, left)
                )
                help = "turns follow one another: what leaves one enters the next"
                place = table.equations[name].place()
                self.findings.note("NG313", f"a turn takes `{name}` as {widths}", place, help=help)
                return UNKNOWN
        value = body.value(table.results[0])
        return Loop(value, inputs, loop=table.name, body=body, times=times, backprop=backprop)

    def times(self, table: Table) -> int | Dial | Unknown:
        """How often a loop turns: a number, or a dial."""
        if table.count is None:
            return UNKNOWN
        expression = table.count.expression
        if isinstance(expression, Name) and expression.id in self.spec.dials:
            return self.spec.dials[expression.id].dial
        return self.turns(table, table.count, "the number of turns")

    def turns_reached(self, table: Table) -> int | Unknown | None:
        """How many turns, from the last, gradients reach; None is all."""
        if table.backprop is None:
            return None
        return self.turns(table, table.backprop, "`backprop`", or_none=True)

    def turns(self, table: Table, equation: Equation, what: str, or_none: bool = False) -> Any:
        found = self.outside(table.name).value_of(equation)
        if isinstance(found, Unknown) or (or_none and found is None):
            return found
        try:
            count = arithmetic.whole(found, what)
            if count > MOST:
                raise Reject(
                    "NG404", f"{count:,} turns, more than the {MOST:,} of any loop", "use fewer turns"
                )
            return count
        except Reject as fault:
            self.findings.add(fault.at(equation.place(equation.expression)))
            return UNKNOWN

    def claims(self, table: Table, count: int) -> list[dict[str, str]]:
        """What each choice of a stack stands for, layer by layer."""

        def compute(equation: Equation, index: int | None) -> Result:
            return self.outside(table.name, index).value_of(equation)

        settled = Claims(count, compute, self.findings, self.resized(table, count), self.written_lists())
        claims: list[dict[str, str]] = [{} for _ in range(count)]
        for choice in table.choices.values():
            for layer, module in zip(claims, settled.settle(choice), strict=True):
                if module is not None:
                    layer[choice.name] = self.names.repairs.get((table.name, module), module)
        return claims

    def written_lists(self) -> frozenset[str]:
        """Dims that are lists, and are as the file has them."""
        return frozenset(
            n for n, d in self.dims.items() if isinstance(d, list) and n not in self.spec.overrides
        )

    def resized(self, table: Table, count: int) -> bool:
        """Whether `--set` made the number of layers another than the file's."""
        if not self.spec.overrides:
            return False
        written = Builder(evolve(self.spec, dims=self.spec.written, overrides={}), self.names)
        written.compute_dims()
        return written.layer_count(table) != count

    def layer_count(self, table: Table) -> int | Unknown:
        if table.count is None:
            return UNKNOWN
        found = self.outside(table.name).value_of(table.count)
        if isinstance(found, Unknown):
            return UNKNOWN
        try:
            count = arithmetic.whole(found, "the number of layers")
            self.climbed += count
            if count > MAX_LAYERS:
                message = f"{count:,} layers, more than the {MAX_LAYERS:,} of any model"
                raise Reject("NG404", message, "use fewer layers")
            if self.climbed > MAX_LINES:
                message = f"{self.climbed:,} layers in all stacks, more than the {MAX_LINES:,} of any model"
                raise Reject("NG404", message, "use fewer layers, or fewer calls of stacks")
            return count
        except Reject as fault:
            notes = self.source_of_layers(table.count)
            self.findings.add(fault.at(table.count.place(table.count.expression), notes))
            return UNKNOWN

    def source_of_layers(self, layers: Equation) -> tuple[Note, ...]:
        return Evaluator(self.outside(), layers).notes(layers.expression, layers.expression)


def _hashable(value: Any) -> Any:
    """A key for arguments: 1, 1.0 and true are three things."""
    if isinstance(value, dict):
        return tuple((name, _hashable(v)) for name, v in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else (value, type(value))
