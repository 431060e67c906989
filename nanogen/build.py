"""Typed spec to graph: numbers are computed, branches chosen, shapes inferred, faults collected.

Equations are built on demand from the results, so what no result reaches is never built and owns nothing.
A part that is refused becomes UNKNOWN, which passes through every rule in silence: one fault is told once.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Any

from attrs import define, evolve, field, frozen

from nanogen import arithmetic
from nanogen.arithmetic import FUNCTIONS, UNKNOWN, Unknown, is_number, shown
from nanogen.binding import Stop, bind
from nanogen.diagnostics import Diagnostic, Findings, Note, Place, Reject, nearest
from nanogen.expression import (
    Attribute,
    Binary,
    Call,
    Compare,
    Conditional,
    Ellipsis_,
    Expression,
    List_,
    Logic,
    Name,
    NewAxis,
    Number,
    Slice,
    Subscript,
    Text,
    Unary,
)
from nanogen.graph import Apply, Climb, Enter, Graph, Line, Node, Read, Unit, nodes, owns
from nanogen.layers import Claims
from nanogen.load import Value
from nanogen.names import Names
from nanogen.primitives import PRIMITIVES
from nanogen.primitives.axes import Pick
from nanogen.primitives.pointwise import Arithmetic, Negate
from nanogen.settings import settings_of
from nanogen.spec import Equation, Spec, Table

MAX_LAYERS = 10_000
CONSTANTS = {"true": True, "false": False, "none": None}
IDS = Value((), "ids")


@frozen
class Module:
    """A module as an argument, or as what a choice stands for."""

    name: str

    @property
    def described(self) -> str:
        return f"the module `{self.name}`"


Result = Any  # a number, a list, None, a Module, a Node, or UNKNOWN


def build(spec: Spec, names: Names) -> tuple[Graph | None, list[Diagnostic]]:
    """Return the graph, and what is wrong with numbers and shapes; no graph where the model is unknown."""
    builder = _Builder(spec, names)
    graph = builder.graph()
    return graph, builder.findings.all


class _Builder:
    def __init__(self, spec: Spec, names: Names):
        self.spec, self.names = spec, names
        self.findings = Findings()
        self.units: dict[tuple, Unit | Unknown] = {}
        self.active: list[str] = []  # tables being built, to tell a table that calls itself
        self.dims: dict[str, Any] = {}

    def graph(self) -> Graph | None:
        self.compute_dims()
        for name in ("vocab", "context"):
            if name in self.dims and not isinstance(self.dims[name], Unknown):
                self.check_size(name)
        model = self.unit(self.spec.model, {"tokens": IDS, "positions": IDS})
        if isinstance(model, Unknown) or any(isinstance(v, Unknown) for v in self.dims.values()):
            return None
        self.check_logits(model)
        return Graph(self.spec.name, model, dict(self.dims))

    def compute_dims(self) -> None:
        frame = Frame(self, Table("dims", "dims", ("dims",), equations=self.spec.dims), {})
        self.dims = {name: frame.lookup(name) for name in self.spec.dims}

    def check_size(self, name: str) -> None:
        try:
            arithmetic.whole(self.dims[name], f"`{name}`")
        except Reject as fault:
            self.findings.add(fault.at(Place(("dims", name))))
            self.dims[name] = UNKNOWN

    def check_logits(self, model: Unit) -> None:
        value = model.line("logits").node.value
        if value.axes != (self.dims["vocab"],):
            message = f"`logits` has shape {value}, and the vocabulary {self.dims['vocab']:,} ids"
            help = "map the last axis to `vocab` channels, or crop it: `head[:vocab]`"
            self.findings.note("NG314", message, Place(("model", "logits")), help=help)

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
        key = (table.name, tuple(inputs.items()), _frozen(args), seen, tuple(modules.items()))
        if key not in self.units:
            self.units[key] = self._unit(table, inputs, args, index, modules)
        return self.units[key]

    def _unit(self, table: Table, inputs, args, index, modules) -> Unit | Unknown:
        if table.name in self.active:
            message = f"{table.described} calls itself"
            self.findings.note("NG203", message, Place(table.path), help="a stack repeats a body with own weights")
            return UNKNOWN
        self.active.append(table.name)
        frame = Frame(self, table, {n: Read(v, n) for n, v in inputs.items()}, index)
        frame.constants.update(args)
        frame.constants.update({choice: Module(name) for choice, name in modules.items()})
        results = [frame.equation(name) for name in table.results]
        self.active.pop()
        if not results or any(not isinstance(r, Node) for r in results):
            frame.want_values(table.results, results)
            return UNKNOWN
        lines = frame.ordered_lines()
        facts = {n: r for n, r in frame.memo.items() if is_number(r) or r is None}
        numbers = {**{n: a for n, a in args.items() if not isinstance(a, Module)}, **facts}
        handed = {n: a.name for n, a in args.items() if isinstance(a, Module)}
        return Unit(
            table.kind, table.name, tuple(inputs.items()), lines, table.results, numbers, {**modules, **handed}
        )

    def stack(self, table: Table, inputs: tuple[Node, ...]) -> Result:
        """Climb a stack: build each layer, each with the shapes that the layer before left."""
        count = self.layer_count(table)
        if isinstance(count, Unknown):
            count, known = 1, False  # one layer still shows what is wrong inside it
        else:
            known = True
        claims = self.claims(table, count)
        values = dict(zip(table.inputs, (n.value for n in inputs), strict=True))
        layers = []
        for index in range(count):
            layer = self.unit(table, values, {}, index, claims[index])
            if isinstance(layer, Unknown) or not self.keeps_shape(table, layer, values):
                return UNKNOWN
            layers.append(layer)
        return Climb(inputs[0].value, table.name, tuple(layers), inputs) if known else UNKNOWN

    def claims(self, table: Table, count: int) -> list[dict[str, str]]:
        """What each choice of a stack stands for, layer by layer."""

        def compute(equation: Equation, index: int | None) -> Result:
            return Frame(self, table, {}, index).value_of(equation)

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
        written = _Builder(evolve(self.spec, dims=self.spec.written, overrides={}), self.names)
        written.compute_dims()
        return written.layer_count(table) != count

    def layer_count(self, table: Table) -> int | Unknown:
        if table.layers is None:
            return UNKNOWN
        found = Frame(self, Table("dims", "dims", ("dims",), equations={}), {}).value_of(table.layers)
        if isinstance(found, Unknown):
            return UNKNOWN
        try:
            count = arithmetic.whole(found, "the number of layers")
            if count > MAX_LAYERS:
                raise Reject("NG404", f"{count:,} layers, more than the {MAX_LAYERS:,} of any model")
            return count
        except Reject as fault:
            self.findings.add(fault.at(table.layers.place(table.layers.expression)))
            return UNKNOWN

    def keeps_shape(self, table: Table, layer: Unit, values: dict[str, Value]) -> bool:
        for name in table.results:
            left, entered = layer.line(name).node.value, values[name]
            if left.axes != entered.axes:
                message = f"a layer takes `{name}` as {entered} and leaves it as {left}"
                self.findings.note("NG313", message, Place((*table.path, name)), help="layers follow one another")
                return False
        return True


def _frozen(args: dict[str, Result]) -> tuple:
    return tuple((n, tuple(a) if isinstance(a, list) else a, type(a)) for n, a in args.items())


@define(eq=False)
class Frame:
    """One table being built: what each of its names stands for."""

    builder: _Builder
    table: Table
    inputs: dict[str, Read]
    index: int | None = None
    constants: dict[str, Result] = field(factory=dict)  # arguments and choices
    memo: dict[str, Result] = field(factory=dict)
    waiting: list[str] = field(factory=list)

    # -- names

    def lookup(self, name: str, place: Place | None = None) -> Result:
        """What a name stands for; an input is the value that enters, whatever leaves under its name."""
        if name in self.inputs:
            return self.inputs[name]
        if name in self.constants:
            return self.constants[name]
        if name in self.table.args:
            self.constants[name] = UNKNOWN  # an argument whose default reads itself
            self.constants[name] = self.value_of(self.table.args[name])
            return self.constants[name]
        if name in self.table.equations:
            found = self.equation(name, place)
            return Read(found.value, name) if isinstance(found, Node) else found
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
                circle = " -> ".join([*self.waiting[self.waiting.index(name) :], name])
                help = "one of them has to come first"
                at = place or equation.place()
                self.builder.findings.note("NG203", f"equations in a circle: {circle}", at, help=help)
                return UNKNOWN
            self.waiting.append(name)
            self.memo[name] = self.value_of(equation)
            self.waiting.pop()
        return self.memo[name]

    def value_of(self, equation: Equation) -> Result:
        try:
            result = Evaluator(self, equation).evaluate(equation.expression)
        except Stop as stop:
            if stop.diagnostic is not None:
                self.builder.findings.add(stop.diagnostic)
            return UNKNOWN
        if isinstance(result, Node):
            self.one_owner(equation, result)
        return result

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
                self.builder.findings.note("NG204", message, Place((*self.table.path, name)))

    # -- lines

    def ordered_lines(self) -> tuple[Line, ...]:
        """The built equations in file order, as far as one may be computed after another.

        A result that replaces an input comes last: whoever reads the name means what entered.
        """
        built = {n: r for n, r in self.memo.items() if isinstance(r, Node)}
        rank = {name: place for place, name in enumerate(self.table.equations)}
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name, node in built.items():
            read = {n.name for n in nodes(node) if isinstance(n, Read)}
            sorter.add(name, *(r for r in read if r in built and r not in self.inputs))
        try:
            sorter.prepare()
        except CycleError:  # pragma: no cover - `equation` found every circle
            raise AssertionError("a circle of equations was built") from None
        order, ready = [], set()
        while sorter.is_active():
            ready |= set(sorter.get_ready())
            name = min(ready, key=lambda n: (n in self.inputs, rank[n]))
            ready.discard(name)
            sorter.done(name)
            order.append(name)
        inner = [n for n in order if n not in self.inputs]
        return tuple(Line(n, built[n]) for n in inner + [n for n in order if n in self.inputs])


@frozen
class Evaluator:
    """One equation being computed, in its frame."""

    frame: Frame
    equation: Equation

    @property
    def builder(self) -> _Builder:
        return self.frame.builder

    def place(self, part: Expression) -> Place:
        return self.equation.place(part)

    def stop(self, code: str, message: str, part: Expression, help: str = "") -> Stop:
        return Stop(Diagnostic(code, message, self.place(part), help=help))

    def reject(self, fault: Reject, part: Expression, notes: tuple[Note, ...] = ()) -> Stop:
        return Stop(fault.at(self.place(part), notes))

    def evaluate(self, node: Expression) -> Result:
        """The value of an expression; raises Stop with the diagnostic, or empty for what was told before."""
        method = getattr(self, f"_{type(node).__name__.lower().rstrip('_')}", None)
        assert method is not None, type(node)
        result = method(node)
        if isinstance(result, Unknown):
            raise Stop(None)
        return result

    def number(self, node: Expression) -> int | float:
        found = self.evaluate(node)
        if not is_number(found):
            kind = "a value" if isinstance(found, Node) else arithmetic.kind_of(found)
            raise self.stop("NG207", f"a number is needed here, found {kind}", node, "values are known only at run time")
        return found

    # -- leaves

    def _number(self, node: Number) -> Result:
        return node.value

    def _name(self, node: Name) -> Result:
        return self.frame.lookup(node.id, self.place(node))

    def _text(self, node: Text) -> Result:
        raise self.stop("NG111", "text has no meaning here", node, "names stand without quotes")

    def _list(self, node: List_) -> Result:
        return [self.evaluate(item) for item in node.items]

    def _attribute(self, node: Attribute) -> Result:
        raise self.stop("NG104", "reads inside a call are not in this compiler yet", node)

    def _ellipsis(self, node: Ellipsis_) -> Result:
        raise self.stop("NG011", "`...` stands only in a subscript", node)

    # -- arithmetic

    def _unary(self, node: Unary) -> Result:
        operand = self.evaluate(node.operand)
        if node.operator == "not":
            return not self.number(node.operand)
        if isinstance(operand, Node):
            return self.apply(Negate(), (operand,), node, (node.operand,))
        try:
            return arithmetic.negate(operand)
        except Reject as fault:
            raise self.reject(fault, node) from None

    def _binary(self, node: Binary) -> Result:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        tensors = [side for side in (left, right) if isinstance(side, Node)]
        try:
            if not tensors:
                return arithmetic.binary(node.operator, left, right)
            if node.operator in ("//", "%"):
                raise Reject("NG204", f"`{node.operator}` is for numbers", "values have + - * / **")
            other = right if isinstance(left, Node) else left
            if len(tensors) == 1 and not is_number(other):
                raise Reject("NG204", f"`{node.operator}` joins values and numbers, found {arithmetic.kind_of(other)}")
        except Reject as fault:
            raise self.reject(fault, node) from None
        if len(tensors) == 2:
            return self.apply(Arithmetic(node.operator), (left, right), node, (node.left, node.right))
        number_first = tensors[0] is right
        primitive = Arithmetic(node.operator, float(other) if isinstance(other, bool) else other, number_first)
        return self.apply(primitive, tuple(tensors), node, (node.right if number_first else node.left,))

    def _compare(self, node: Compare) -> Result:
        left = self.evaluate(node.first)
        for operator, part in node.rest:
            right = self.evaluate(part)
            try:
                if not arithmetic.compare(operator, left, right):
                    return False
            except Reject as fault:
                raise self.reject(fault, node) from None
            left = right
        return True

    def _logic(self, node: Logic) -> Result:
        wanted = node.operator == "or"
        for item in node.items:
            if bool(self.number(item)) is wanted:
                return wanted
        return not wanted

    def _conditional(self, node: Conditional) -> Result:
        return self.evaluate(node.then if self.number(node.test) else node.other)

    # -- subscripts

    def _subscript(self, node: Subscript) -> Result:
        base = self.evaluate(node.base)
        if isinstance(base, list):
            return self.list_item(base, node)
        if not isinstance(base, Node):
            raise self.stop("NG204", f"{arithmetic.kind_of(base)} has no axes", node.base)
        items = self.spread(node, len(base.value.axes))
        return self.apply(Pick(tuple(i for i, _ in items)), (base,), node, tuple(p for _, p in items))

    def list_item(self, base: list, node: Subscript) -> Result:
        if len(node.items) != 1 or isinstance(node.items[0], Slice | NewAxis | Ellipsis_):
            raise self.stop("NG309", "a list of numbers takes one index", node)
        index = self.number(node.items[0])
        if index != int(index) or not -len(base) <= index < len(base):
            raise self.stop("NG309", f"index {shown(index)} is outside a list of {len(base)}", node.items[0])
        return base[int(index)]

    def spread(self, node: Subscript, axes: int) -> list[tuple[slice | int | None, Expression]]:
        """One item an axis: `...` stands for as many whole axes as are left.

        Without `...` the items are those of the first axes, as numpy has it.
        """
        taken = sum(not isinstance(item, NewAxis | Ellipsis_) for item in node.items)
        if taken > axes:
            raise self.stop("NG309", f"{taken} subscripts for {axes} feature axes", node)
        if sum(isinstance(item, Ellipsis_) for item in node.items) > 1:
            raise self.stop("NG309", "one `...` is enough", node)
        whole: list[tuple[slice | int | None, Expression]] = [(slice(None), node)] * (axes - taken)
        spread: list[tuple[slice | int | None, Expression]] = []
        seen = False
        for item in node.items:
            if isinstance(item, Ellipsis_):
                spread += whole
                seen = True
            else:
                spread.append((self.item(item), item))
        return spread if seen else spread + whole

    def item(self, item: Expression) -> slice | int | None:
        if isinstance(item, NewAxis):
            return None
        if isinstance(item, Slice):
            bounds = [self.index(part) if part is not None else None for part in (item.start, item.stop)]
            return slice(*bounds)
        return self.index(item)

    def index(self, node: Expression) -> int:
        found = self.number(node)
        if found != int(found):
            raise self.stop("NG309", f"an index is a whole number, found {shown(found)}", node)
        return int(found)

    # -- calls

    def _call(self, node: Call) -> Result:
        callee = self.callee(node)
        if isinstance(callee, Module):
            return self.enter(callee.name, node)
        if callee in FUNCTIONS and (callee not in PRIMITIVES or not self.has_value(node)):
            return self.function(callee, node)
        primitive, inputs, parts = bind(self, callee, node)
        return self.apply(primitive, inputs, node, parts)

    def callee(self, node: Call) -> Module | str:
        name = node.callee
        own = self.frame.table
        if name in self.frame.constants or name in own.args:
            found = self.frame.lookup(name)
            if isinstance(found, Unknown):
                raise Stop(None)
            if not isinstance(found, Module):
                raise self.stop("NG202", f"`{name}` is {arithmetic.kind_of(found)} here, not a module", node)
            return found
        if name in PRIMITIVES or name in FUNCTIONS:
            return name
        if name in self.builder.spec.tables:
            return Module(name)
        found = self.frame.lookup(name) if name in own.equations else UNKNOWN
        meant = self.builder.names.repairs.get((own.name, name))
        if isinstance(found, Module):
            return found
        if meant is None:
            raise Stop(None)
        return meant if meant in PRIMITIVES or meant in FUNCTIONS else Module(meant)

    def has_value(self, node: Call) -> bool:
        return any(isinstance(self.evaluate(a), Node) for a in node.args)

    def function(self, name: str, node: Call) -> Result:
        args = [self.evaluate(a) for a in node.args]
        if node.keywords:
            raise self.stop("NG113", f"`{name}` has no settings", node.keywords[0][1])
        for value, part in zip(args, node.args, strict=True):
            if isinstance(value, Node):
                raise self.stop("NG207", f"`{name}` is for numbers, found a value", part)
        try:
            return arithmetic.function(name, args)
        except Reject as fault:
            raise self.reject(fault, node) from None

    def enter(self, name: str, node: Call) -> Result:
        """Call a module or a stack: inputs by position, arguments by name."""
        table = self.builder.spec.tables.get(name)
        if table is None:
            raise Stop(None)
        inputs = [self.evaluate(a) for a in node.args]
        if len(inputs) != len(table.inputs):
            wanted = ", ".join(table.inputs)
            message = f"`{name}` takes {len(table.inputs)} inputs ({wanted}), found {len(inputs)}"
            raise self.stop("NG112", message, node)
        for value, part in zip(inputs, node.args, strict=True):
            if not isinstance(value, Node):
                raise self.stop("NG204", f"an input is a value, found {arithmetic.kind_of(value)}", part)
        args = self.arguments(table, node)
        if table.kind == "stack":
            return self.builder.stack(table, tuple(inputs))
        values = dict(zip(table.inputs, (n.value for n in inputs), strict=True))
        unit = self.builder.unit(table, values, args, self.frame.index)
        if isinstance(unit, Unknown):
            return UNKNOWN
        return Enter(unit.line("y").node.value, unit, tuple(inputs))

    def arguments(self, table: Table, node: Call) -> dict[str, Result]:
        args = {}
        for name, value, span in node.keywords:
            if name == "weights":
                raise self.stop("NG104", "shared weights are not in this compiler yet", value)
            if name not in table.args:
                place = Place(self.equation.path, span)
                known = nearest(name, table.args) or f"{table.described} has no arguments"
                raise Stop(Diagnostic("NG113", f"`{table.name}` has no argument `{name}`", place, help=known))
            found = self.evaluate(value)
            if isinstance(found, Node):
                help = f"inputs are given by position: `inputs = [.., \"{name}\"]`"
                raise self.stop("NG207", f"the argument `{name}` is a number or a module, found a value", value, help)
            args[name] = found
        return args

    def apply(self, primitive, inputs: tuple[Node, ...], node: Expression, parts: tuple[Expression, ...]) -> Apply:
        """Apply a primitive's shape rule; a refusal points at the argument to blame."""
        try:
            return Apply(primitive.shape(*(n.value for n in inputs)), primitive, inputs)
        except Reject as fault:
            raise self.blame(fault, primitive, node, parts) from None

    def blame(self, fault: Reject, primitive, node: Expression, parts: tuple[Expression, ...]) -> Stop:
        part = node
        if isinstance(fault.blame, int) and fault.blame < len(parts):
            part = parts[fault.blame]
        elif isinstance(fault.blame, str) and isinstance(node, Call):
            part = self.setting_part(node, primitive, fault.blame) or node
        return self.reject(fault, part, self.notes(node, part))

    def setting_part(self, node: Call, primitive, name: str) -> Expression | None:
        for keyword, value, _ in node.keywords:
            if keyword == name:
                return value
        place = len(primitive.inputs) + list(settings_of(primitive.name)).index(name)
        return node.args[place] if place < len(node.args) else None

    def notes(self, node: Expression, part: Expression) -> tuple[Note, ...]:
        """Point at what the fault came from: the dims it reads, and the shapes of named inputs."""
        found = []
        if isinstance(part, Name) and part.id in self.builder.spec.dims and part.id not in self.frame.memo:
            value = self.builder.dims.get(part.id)
            found.append(Note(Place(("dims", part.id)), f"`{part.id}` is {shown(value)}"))
        if isinstance(node, Call):
            for arg in node.args:
                read = self.frame.memo.get(arg.id) if isinstance(arg, Name) else None
                if isinstance(read, Node) and isinstance(arg, Name):
                    at = Place((*self.frame.table.path, arg.id), on_key=True)
                    found.append(Note(at, f"`{arg.id}` is {read.value}"))
        return tuple(found[:3])
