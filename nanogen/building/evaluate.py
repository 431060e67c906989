"""One equation being computed: numbers fold, branches are chosen, calls become nodes of the graph.

Knows the frame it stands in, which says what names stand for; a fault is raised as `Stop` and caught there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.building.binding import bind
from nanogen.building.inside import AT, read_inside, read_layer
from nanogen.building.sharing import lend
from nanogen.graph import Apply, Node
from nanogen.graph import Call as CallNode
from nanogen.language import arithmetic
from nanogen.language.arithmetic import FUNCTIONS, UNKNOWN, Unknown, is_number, shown
from nanogen.language.expression import (
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
from nanogen.language.settings import settings_of
from nanogen.language.tables import Equation, Table
from nanogen.primitives import PRIMITIVES
from nanogen.primitives.axes import Pick
from nanogen.primitives.pointwise import Arithmetic, Negate
from nanogen.text.diagnostics import Diagnostic, Note, Place, Reject, Stop, nearest

MAX_STEPS = 300_000  # parts of equations computed for one model

if TYPE_CHECKING:
    from nanogen.building.build import Builder, Frame


@frozen
class Module:
    """A module as an argument, or as what a choice stands for."""

    name: str

    @property
    def described(self) -> str:
        return f"the module `{self.name}`"


Result = Any  # a number, a list, None, a Module, a Node, or UNKNOWN


@frozen
class Evaluator:
    """One equation being computed, in its frame."""

    frame: Frame
    equation: Equation

    @property
    def builder(self) -> Builder:
        return self.frame.builder

    def place(self, part: Expression) -> Place:
        return self.equation.place(part)

    def stop(self, code: str, message: str, part: Expression, help: str = "") -> Stop:
        return Stop(Diagnostic(code, message, self.place(part), help=help))

    def reject(self, fault: Reject, part: Expression, notes: tuple[Note, ...] = ()) -> Stop:
        return Stop(fault.at(self.place(part), notes))

    def evaluate(self, node: Expression) -> Result:
        """The value of an expression; raises Stop with the diagnostic, or empty for what was told before."""
        self.count(node)
        method = getattr(self, f"_{type(node).__name__.lower().rstrip('_')}", None)
        assert method is not None, type(node)
        result = method(node)
        if isinstance(result, Unknown):
            raise Stop(None)
        return result

    def count(self, node: Expression) -> None:
        """Bound the work: a rule of a thousand terms in each of a thousand layers is no model."""
        builder = self.builder
        builder.steps += 1
        if builder.steps == MAX_STEPS:
            message = f"the spec takes more than {MAX_STEPS:,} steps to compute"
            raise self.stop("NG404", message, node, "use fewer layers, or shorter rules")
        if builder.steps > MAX_STEPS:
            raise Stop(None)

    def number(self, node: Expression) -> int | float:
        found = self.evaluate(node)
        if not is_number(found):
            kind = "a value" if isinstance(found, Node) else arithmetic.kind_of(found)
            raise self.stop("NG207", f"a number is needed here, found {kind}", node, self.instead(found))
        return found

    def instead(self, found: Result) -> str:
        """Help for what stands where a number belongs."""
        if isinstance(found, Node):
            return "values are known only at run time: use a dim, an argument or a per-layer fact"
        return "use a dim, an argument, a per-layer fact, or arithmetic on these"

    # -- leaves

    def _number(self, node: Number) -> Result:
        return node.value

    def _name(self, node: Name) -> Result:
        return self.frame.lookup(node.id, self.place(node))

    def _text(self, node: Text) -> Result:
        raise self.stop("NG111", "text has no meaning here", node, "names stand without quotes")

    def _list(self, node: List_) -> Result:
        found = [self.evaluate(item) for item in node.items]
        for value, item in zip(found, node.items, strict=True):
            if not is_number(value) and not isinstance(value, list):
                message = f"a list holds numbers, found {arithmetic.kind_of(value)}"
                raise self.stop("NG111", message, item, self.instead(value))
        return found

    def _attribute(self, node: Attribute) -> Result:
        return read_inside(self, node)

    def _ellipsis(self, node: Ellipsis_) -> Result:
        raise self.stop("NG011", "`...` stands only in a subscript", node, "write `x[..., :8]`")

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
                self.rest(node, left, right)
                return arithmetic.binary(node.operator, left, right)
            if node.operator in ("//", "%"):
                raise Reject("NG204", f"`{node.operator}` is for numbers", "values have + - * / **")
            other = right if isinstance(left, Node) else left
            if len(tensors) == 1 and not is_number(other):
                message = f"`{node.operator}` joins values and numbers, found {arithmetic.kind_of(other)}"
                raise Reject("NG204", message, "call a module, or take an item of a list: `sizes[0]`")
        except Reject as fault:
            raise self.reject(fault, node) from None
        if len(tensors) == 2:
            return self.apply(Arithmetic(node.operator), (left, right), node, (node.left, node.right))
        number_first = tensors[0] is right
        primitive = Arithmetic(
            node.operator, float(other) if isinstance(other, bool) else other, number_first
        )
        return self.apply(primitive, tuple(tensors), node, (node.right if number_first else node.left,))

    def rest(self, node: Binary, left: Result, right: Result) -> None:
        """Warn of a size that silently loses its remainder: 768 // 10 heads leave 8 channels."""
        sizes = is_number(left) and is_number(right) and right
        if node.operator == "//" and sizes and left % right and self.frame.table.kind == "dims":
            if not self.equation.path or self.equation.name not in self.builder.spec.dims:
                return
            message = f"{shown(left)} // {shown(right)} leaves a rest of {shown(left % right)}"
            help = "use `/` where it must divide, or `floor(a / b)` where a rest is meant"
            self.builder.findings.note("NG403", message, self.place(node), help=help)

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
            help = "subscripts take a value, or a list of numbers"
            raise self.stop("NG204", f"{arithmetic.kind_of(base)} has no axes", node.base, help)
        items = self.spread(node, len(base.value.axes))
        return self.apply(Pick(tuple(i for i, _ in items)), (base,), node, tuple(p for _, p in items))

    def list_item(self, base: list, node: Subscript) -> Result:
        if len(node.items) != 1 or isinstance(node.items[0], Slice | NewAxis | Ellipsis_):
            raise self.stop("NG309", "a list of numbers takes one index", node, "write `sizes[0]`")
        index = self.number(node.items[0])
        if index != int(index) or not -len(base) <= index < len(base):
            help = f"indices go from 0 to {len(base) - 1}" if base else "the list is empty"
            raise self.stop(
                "NG309", f"index {shown(index)} is outside a list of {len(base)}", node.items[0], help
            )
        return base[int(index)]

    def spread(self, node: Subscript, axes: int) -> list[tuple[slice | int | None, Expression]]:
        """One item an axis: `...` stands for as many whole axes as are left.

        Without `...` the items are those of the first axes, as numpy has it.
        """
        taken = sum(not isinstance(item, NewAxis | Ellipsis_) for item in node.items)
        if taken > axes:
            help = "batch and time are implied: subscripts are for feature axes alone"
            raise self.stop(
                "NG309",
                f"{taken} subscript{'s' * (taken > 1)} for {axes} feature ax{'i' if axes == 1 else 'e'}s",
                node,
                help,
            )
        if sum(isinstance(item, Ellipsis_) for item in node.items) > 1:
            raise self.stop("NG309", "`...` stands twice", node, "one stands for all axes that are left")
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
            raise self.stop(
                "NG309", f"an index is a whole number, found {shown(found)}", node, "use `floor` or `ceil`"
            )
        return int(found)

    # -- calls

    def _call(self, node: Call) -> Result:
        callee = self.callee(node)
        if isinstance(callee, Module):
            return self.enter(callee.name, node)
        if callee == AT:
            return read_layer(self, node)
        if callee in FUNCTIONS and (callee not in PRIMITIVES or not self.has_value(node)):
            return self.function(callee, node)
        primitive, inputs, parts = bind(self, callee, node)
        return self.lent(node, self.apply(primitive, inputs, node, parts))

    def lent(self, node: Call, made: Apply | CallNode) -> Result:
        """Give a call the weights that `weights=` names."""
        for name, owner, _ in node.keywords:
            if name == "weights":
                try:
                    made.weights = lend(self, made, owner)
                except Reject as fault:
                    raise self.reject(fault, owner) from None
                self.frame.guests.append((self, made, owner))
        return made

    def callee(self, node: Call) -> Module | str:
        name = node.callee
        own = self.frame.table
        if name in self.frame.constants or name in own.args:
            found = self.frame.lookup(name)
            if isinstance(found, Unknown):
                raise Stop(None)
            if not isinstance(found, Module):
                raise self.no_module(found, node)
            return found
        if name in PRIMITIVES or name in FUNCTIONS or name == AT:
            return name
        if name in self.builder.spec.tables:
            return Module(name)
        found = self.frame.lookup(name) if name in own.equations and name != self.equation.name else UNKNOWN
        meant = self.builder.names.repairs.get((own.name, name))
        if isinstance(found, Module):
            return found
        if not isinstance(found, Unknown):
            raise self.no_module(found, node)
        if meant is None:
            raise Stop(None)
        return meant if meant in PRIMITIVES or meant in FUNCTIONS else Module(meant)

    def no_module(self, found: Result, node: Call) -> Stop:
        place = Place(self.equation.path, node.callee_span if self.equation.written else None)
        message = f"`{node.callee}` is {arithmetic.kind_of(found)} here, not a module"
        help = "what stands before `(` is a primitive, a module, a stack or an argument that is a module"
        return Stop(Diagnostic("NG202", message, place, help=help))

    def has_value(self, node: Call) -> bool:
        return any(isinstance(self.evaluate(a), Node) for a in node.args)

    def function(self, name: str, node: Call) -> Result:
        args = [self.evaluate(a) for a in node.args]
        if node.keywords:
            raise self.stop(
                "NG113", f"`{name}` has no settings", node.keywords[0][1], "give the numbers alone"
            )
        for value, part in zip(args, node.args, strict=True):
            if isinstance(value, Node):
                raise self.stop("NG207", f"`{name}` is for numbers, found a value", part, self.instead(value))
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
            many = "input" if len(table.inputs) == 1 else "inputs"
            message = f"`{name}` takes {len(table.inputs)} {many} ({wanted}), found {len(inputs)}"
            help = (
                f"arguments have names: `{name}({wanted}, {next(iter(table.args))}=..)`" if table.args else ""
            )
            raise self.stop("NG112", message, node, help or f"write `{name}({wanted})`")
        for value, part in zip(inputs, node.args, strict=True):
            if not isinstance(value, Node):
                help = "numbers and modules are arguments, given by name"
                raise self.stop(
                    "NG204", f"an input is a value, found {arithmetic.kind_of(value)}", part, help
                )
        args = self.arguments(table, node)
        made = self.builder.enter(table, tuple(inputs), args, self.frame.index)
        return UNKNOWN if isinstance(made, Unknown) else self.lent(node, made)

    def arguments(self, table: Table, node: Call) -> dict[str, Result]:
        args = {}
        for name, value, span in node.keywords:
            place = Place(self.equation.path, span if self.equation.written else None)
            if name == "weights":
                continue
            if name not in table.args:
                known = nearest(name, table.args) or f"{table.described} has no arguments"
                raise Stop(Diagnostic("NG113", f"`{table.name}` has no argument `{name}`", place, help=known))
            if name in args:
                raise Stop(Diagnostic("NG112", f"`{name}` is given twice", place, help="give it once"))
            found = self.evaluate(value)
            if isinstance(found, Node):
                help = f'inputs are given by position: `inputs = [.., "{name}"]`'
                raise self.stop(
                    "NG207", f"the argument `{name}` is a number or a module, found a value", value, help
                )
            args[name] = found
        return args

    def apply(
        self, primitive, inputs: tuple[Node, ...], node: Expression, parts: tuple[Expression, ...]
    ) -> Apply:
        """Apply a primitive's shape rule; a refusal points at the argument to blame."""
        try:
            value = primitive.shape(*(n.value for n in inputs))
            if value.width >= arithmetic.LARGEST:
                message = f"a value of shape {value} is larger than any memory"
                raise Reject("NG404", message, "some size here is a slip")
            return Apply(value, primitive, inputs)
        except Reject as fault:
            raise self.blame(fault, primitive, node, parts) from None

    def blame(self, fault: Reject, primitive, node: Expression, parts: tuple[Expression, ...]) -> Stop:
        part = node
        if isinstance(fault.blame, int) and fault.blame < len(parts):
            part = parts[fault.blame]
        elif isinstance(fault.blame, str) and isinstance(node, Call):
            given = self.setting_part(node, primitive, fault.blame)
            default = self.frame.table.defaults.get(primitive.name, {}).get(fault.blame)
            if given is None and default is not None:
                note = Note(self.place(node), f"`{primitive.name}` is called here")
                return Stop(fault.at(default.place(default.expression), (note,)))
            part = given or node
        return self.reject(fault, part, self.notes(node, part))

    def setting_part(self, node: Call, primitive, name: str) -> Expression | None:
        for keyword, value, _ in node.keywords:
            if keyword == name:
                return value
        settings = settings_of(primitive.name)
        before = 0 if settings[name].metadata["kind"] == "text" else len(primitive.inputs)
        place = before + list(settings).index(name)
        return node.args[place] if place < len(node.args) else None

    def notes(self, node: Expression, part: Expression) -> tuple[Note, ...]:
        """Point at what the fault came from: the dims it reads, and the shapes of named inputs."""
        found = []
        if isinstance(part, Name) and part.id in self.builder.spec.dims and part.id not in self.frame.memo:
            dim = self.builder.spec.dims[part.id]
            by = ", as set" if part.id in self.builder.spec.overrides else ""
            found.append(Note(dim.place(), f"`{part.id}` is {shown(self.builder.dims.get(part.id))}{by}"))
        sides = (
            node.args
            if isinstance(node, Call)
            else (node.left, node.right)
            if isinstance(node, Binary)
            else ()
        )
        for name in dict.fromkeys(side.id for side in sides if isinstance(side, Name)):
            read = self.frame.inputs.get(name) or self.frame.memo.get(name)
            if isinstance(read, Node) and name != "turn":
                place = Place((*self.frame.table.path, name), on_key=True)
                found.append(Note(place, f"`{name}` is {read.value}"))
        return tuple(found[:3])
