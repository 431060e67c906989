"""Typed spec to graph: tables become units, stacks are climbed, faults collected.

Equations are built on demand from the results, so what no result reaches is never built and owns nothing.
A part that is refused becomes UNKNOWN, which passes through every rule in silence: one fault is told once.
"""

from __future__ import annotations

import heapq
from typing import Any

from attrs import define, evolve, field

from nanogen import arithmetic
from nanogen.arithmetic import UNKNOWN, Unknown, is_number
from nanogen.diagnostics import Diagnostic, Findings, Note, Place, Reject, Stop
from nanogen.evaluate import Evaluator, Module, Result
from nanogen.expression import Conditional, Expression, Name, children
from nanogen.graph import Climb, Graph, Line, Node, Read, Unit, nodes, owns
from nanogen.layers import Claims
from nanogen.load import Value
from nanogen.names import Names
from nanogen.spec import Spec
from nanogen.tables import Equation, Table

MAX_LAYERS = 2_000  # of one stack
MAX_LINES = 100_000  # of the whole model, layers and modules expanded
CONSTANTS = {"true": True, "false": False, "none": None}


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
        return Graph(self.spec.name, model, dict(self.dims))

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
        value, vocab = model.line("logits").node.value, self.dims["vocab"]
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
        args: dict[str, Result] | None = None,
        index: int | None = None,
        modules: dict[str, str] | None = None,
    ) -> Unit | Unknown:
        """Return the unit of a table with these inputs; alike units are one object."""
        args, modules = args or {}, modules or {}
        seen = index if table.name in self.names.indexed else None
        key = (table.path, tuple(inputs.items()), _hashable(args), seen, tuple(modules.items()))
        if key not in self.units:
            self.units[key] = self._unit(table, inputs, args, index, modules)
        return self.units[key]

    def _unit(self, table: Table, inputs, args, index, modules) -> Unit | Unknown:
        if self.calls_itself(table):
            return UNKNOWN
        self.active.append(table)
        frame = Frame(self, table, {n: Read(v, n) for n, v in inputs.items()}, index)
        frame.constants.update(args)
        frame.constants.update({choice: self.chosen(name) for choice, name in modules.items()})
        results = [frame.equation(name) for name in table.results]
        self.active.pop()
        if not results or any(not isinstance(r, Node) for r in results):
            frame.want_values(table.results, results)
            return UNKNOWN
        facts = {n: r for n, r in frame.memo.items() if is_number(r) or r is None}
        numbers = {**{n: a for n, a in args.items() if not isinstance(a, Module)}, **facts}
        handed = {n: a.name for n, a in args.items() if isinstance(a, Module)}
        lines, named = frame.ordered_lines(), {**modules, **handed}
        unit = Unit(table.kind, table.name, tuple(inputs.items()), lines, table.results, numbers, named)
        return unit if self.countable(unit.expanded, table) else UNKNOWN

    def chosen(self, name: str) -> Result:
        """What a choice stands for: a module, or a dim."""
        return Module(name) if name in self.spec.tables else self.dims.get(name, UNKNOWN)

    def calls_itself(self, table: Table) -> bool:
        if all(table is not t for t in self.active):
            return False
        circle = [t.name for t in self.active[self.active.index(table) :]] + [table.name]
        through = f": {_circle(circle)}" if len(circle) > 2 else ""
        help = "a stack repeats a body, each layer with its own weights"
        self.findings.note("NG203", f"{table.described} calls itself{through}", Place(table.path), help=help)
        return True

    def countable(self, lines: int, table: Table) -> bool:
        if lines > MAX_LINES:
            message = f"{table.described} expands to {lines:,} equations, more than {MAX_LINES:,}"
            help = "fewer layers, or fewer modules that call modules"
            self.findings.note("NG404", message, Place(table.path), help=help)
        return lines <= MAX_LINES

    def stack(self, table: Table, inputs: tuple[Node, ...]) -> Result:
        """Climb a stack: build each layer, each with the values that the layer before left."""
        count = self.layer_count(table)
        known = isinstance(count, int)
        if isinstance(count, int):
            claims = self.claims(table, count)
        else:  # one layer still shows what is wrong inside it
            claims = [{c.name: c.rules[0].module for c in table.choices.values() if c.rules}]
        values = dict(zip(table.inputs, (n.value for n in inputs), strict=True))
        layers: list[Unit] = []
        for index, modules in enumerate(claims):
            layer = self.unit(table, values, {}, index, modules)
            if isinstance(layer, Unknown):
                known = False  # the other layers show what else is wrong
            elif not self.keeps_shape(table, layer, values):
                return UNKNOWN
            else:
                layers.append(layer)
                values |= {name: layer.line(name).node.value for name in table.results}
        if not known or not layers or not self.countable(sum(u.expanded for u in layers), table):
            return UNKNOWN
        return Climb(values[table.results[0]], table.name, tuple(layers), inputs)

    def claims(self, table: Table, count: int) -> list[dict[str, str]]:
        """What each choice of a stack stands for, layer by layer."""

        def compute(equation: Equation, index: int | None) -> Result:
            return self.outside(table.name, index).value_of(equation)

        settled = Claims(count, compute, self.findings, self.resized(table, count))
        claims: list[dict[str, str]] = [{} for _ in range(count)]
        for choice in table.choices.values():
            for layer, module in zip(claims, settled.settle(choice), strict=True):
                if module is not None:
                    layer[choice.name] = self.names.repairs.get((table.name, module), module)
        return claims

    def resized(self, table: Table, count: int) -> bool:
        """Whether `--set` made the number of layers another than the file's."""
        if not self.spec.overrides:
            return False
        written = Builder(evolve(self.spec, dims=self.spec.written, overrides={}), self.names)
        written.compute_dims()
        return written.layer_count(table) != count

    def layer_count(self, table: Table) -> int | Unknown:
        if table.layers is None:
            return UNKNOWN
        found = self.outside(table.name).value_of(table.layers)
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
            notes = self.source_of_layers(table.layers)
            self.findings.add(fault.at(table.layers.place(table.layers.expression), notes))
            return UNKNOWN

    def source_of_layers(self, layers: Equation) -> tuple[Note, ...]:
        return Evaluator(self.outside(), layers).notes(layers.expression, layers.expression)

    def keeps_shape(self, table: Table, layer: Unit, values: dict[str, Value]) -> bool:
        for name in table.results:
            left, entered = layer.line(name).node.value, values[name]
            if left.axes != entered.axes:
                message = f"a layer takes `{name}` as {entered} and leaves it as {left}"
                help = "layers follow one another: what leaves one enters the next"
                self.findings.note("NG313", message, table.equations[name].place(), help=help)
                return False
        return True


def _hashable(value: Any) -> Any:
    """A key for arguments: 1, 1.0 and true are three things."""
    if isinstance(value, dict):
        return tuple((name, _hashable(v)) for name, v in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else (value, type(value))


def _circle(names: list[str]) -> str:
    """Write a -> b -> a; a long circle by its ends."""
    shown = names if len(names) <= 8 else [*names[:4], "..", *names[-3:]]
    return " -> ".join(shown)


@define(eq=False)
class Frame:
    """One table being built: what each of its names stands for."""

    builder: Builder
    table: Table
    inputs: dict[str, Read]
    index: int | None = None
    constants: dict[str, Result] = field(factory=dict)  # arguments and choices
    memo: dict[str, Result] = field(factory=dict)
    waiting: list[str] = field(factory=list)

    # -- names

    def lookup(self, name: str, place: Place | None = None) -> Result:
        """What a name stands for; an input is the value that enters, whatever leaves under its name."""
        if name in self.builder.names.ambiguous:
            return UNKNOWN
        if name in self.inputs:
            return self.inputs[name]
        if name in self.constants:
            return self.constants[name]
        if name in self.table.args:  # a default, which reads dims alone
            self.constants[name] = self.builder.outside(self.table.name, self.index).value_of(
                self.table.args[name]
            )
            return self.constants[name]
        if name in self.table.equations:
            found = self.equation(name, place)
            return Read(found.value, name) if isinstance(found, Node) else found
        if name in self.table.refused or name in self.builder.spec.refused:
            return UNKNOWN
        if name in self.builder.dims:
            return self.builder.dims[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name == "i" and self.index is not None:
            return self.index
        if name in self.builder.spec.tables:
            return Module(name)
        return self.repaired(name, place)

    def repaired(self, name: str, place: Place | None) -> Result:
        """Read on with the name that was surely meant; the slip itself was told already."""
        meant = self.builder.names.repairs.get((self.table.name, name))
        if name == "i" and place is not None:
            help = "the index exists in stacks, and in modules called there"
            self.builder.findings.note("NG201", "there is no layer index `i` here", place, help=help)
        return self.lookup(meant, place) if meant is not None and meant != name else UNKNOWN

    def equation(self, name: str, place: Place | None = None) -> Result:
        if name not in self.memo:
            equation = self.table.equations.get(name)
            if equation is None:
                return UNKNOWN
            if name in self.waiting:
                self.circle(name, place or equation.place())
                return UNKNOWN
            self.waiting.append(name)
            self.memo[name] = self.value_of(equation)
            self.waiting.pop()
        return self.memo[name]

    def circle(self, name: str, place: Place) -> None:
        names = [*self.waiting[self.waiting.index(name) :], name]
        message = f"equations in a circle: {_circle(names)}"
        help = "one of them has to come first" if len(names) > 2 else "give the two values two names"
        self.builder.findings.note("NG203", message, place, help=help)

    def value_of(self, equation: Equation) -> Result:
        try:
            result = Evaluator(self, equation).evaluate(equation.expression)
        except Stop as stop:
            if stop.diagnostic is not None:
                self.builder.findings.add(stop.diagnostic)
            self.go_on(equation.expression)
            return UNKNOWN
        if isinstance(result, Node):
            self.one_owner(equation, result)
        return result

    def go_on(self, node: Expression) -> None:
        """After a fault, compute what else the equation reads, so that all faults are told at once.

        Branches are left alone: who knows which of them was meant.
        """
        if isinstance(node, Name) and node.id in self.table.equations and node.id not in self.waiting:
            self.equation(node.id)
        for child in [node.test] if isinstance(node, Conditional) else children(node):
            self.go_on(child)

    def one_owner(self, equation: Equation, result: Node) -> None:
        owners = [n for n in nodes(result) if owns(n)]
        if len(owners) > 1:
            message = f"`{equation.name}` owns the parameters of {len(owners)} calls"
            help = "give each its own equation, so that each path names one tensor"
            self.builder.findings.note("NG205", message, equation.place(), help=help)

    def want_values(self, names: tuple[str, ...], results: list[Result]) -> None:
        """A result that is a number is a fault of its own; an unknown one was told."""
        for name, result in zip(names, results, strict=True):
            if not isinstance(result, Node | Unknown):
                message = f"`{name}` is {arithmetic.kind_of(result)}, and the result is a value"
                help = "compute it from an input"
                self.builder.findings.note("NG204", message, self.table.equations[name].place(), help=help)

    # -- lines

    def ordered_lines(self) -> tuple[Line, ...]:
        """The built equations in file order, as far as one may be computed after another.

        A result that replaces an input comes last: whoever reads the name means what entered.
        """
        built = {n: r for n, r in self.memo.items() if isinstance(r, Node)}
        rank = {name: (name in self.inputs, place) for place, name in enumerate(self.table.equations)}
        waits: dict[str, set[str]] = {}
        readers: dict[str, list[str]] = {name: [] for name in built}
        for name, node in built.items():
            read = {n.name for n in nodes(node) if isinstance(n, Read)}
            waits[name] = {r for r in read if r in built and r not in self.inputs}
            for r in waits[name]:
                readers[r].append(name)
        ready = [(rank[name], name) for name, reads in waits.items() if not reads]
        heapq.heapify(ready)
        order = []
        while ready:
            name = heapq.heappop(ready)[1]
            order.append(name)
            for reader in readers[name]:
                waits[reader].discard(name)
                if not waits[reader]:
                    heapq.heappush(ready, (rank[reader], reader))
        assert len(order) == len(built), "a circle of equations was built"
        inner = [n for n in order if n not in self.inputs]
        return tuple(Line(n, built[n]) for n in inner + [n for n in order if n in self.inputs])
