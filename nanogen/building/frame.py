"""One table being built: what each of its names stands for, and which of its equations were reached.

Equations are built on demand from the results, so what no result reaches is never built and owns nothing.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from attrs import define, field

from nanogen.building.evaluate import Evaluator, Module, Result
from nanogen.building.sharing import lend
from nanogen.graph import Call, Inside, Line, Loan, Node, Reach, Read, nodes, owns
from nanogen.language import arithmetic
from nanogen.language.arithmetic import UNKNOWN, Unknown
from nanogen.language.expression import Conditional, Expression, Name, children
from nanogen.language.tables import Equation, Table
from nanogen.load import Value
from nanogen.text.diagnostics import Place, Reject, Stop

if TYPE_CHECKING:
    from nanogen.building.ascent import Ascent
    from nanogen.building.build import Builder

CONSTANTS = {"true": True, "false": False, "none": None}


@define(eq=False)
class Frame:
    """One table being built."""

    builder: Builder
    table: Table
    inputs: dict[str, Read]
    index: int | None = None
    constants: dict[str, Result] = field(factory=dict)  # arguments and choices
    ascent: Ascent | None = None  # of a layer: the layers below it
    memo: dict[str, Result] = field(factory=dict)
    waiting: list[str] = field(factory=list)
    reaches: dict[tuple[str, int], Reach] = field(factory=dict)
    loans: dict[tuple[str, int | None], Loan] = field(factory=dict)
    guests: list[tuple[Evaluator, Any, Expression]] = field(factory=list)  # calls with the weights of others

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
        message = f"equations in a circle: {circle_of(names)}"
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

    # -- what stands inside calls, and in other layers

    def call(self, name: str) -> Call:
        """The call that an equation is; raises Reject."""
        known = name in self.inputs or name in self.constants or not isinstance(self.lookup(name), Unknown)
        if name not in self.table.equations and known:
            help = "read it where the call stands, and hand it down as an input"
            raise Reject("NG208", f"`{name}` is no equation of {self.table.described}", help)
        found = self.equation(name)
        if isinstance(found, Unknown):
            raise Stop(None)
        if not isinstance(found, Call):
            help = 'what is read inside stands in an equation that is a call: `attn = "attention(x)"`'
            raise Reject("NG208", f"`{name}` is no call of a module or stack, so nothing is inside it", help)
        return found

    def inside(self, name: str, path: str, layer: int | None = None) -> Inside:
        """The value `path` inside the call of an equation; `layer` picks one of a stack. Raises Reject."""
        call = self.call(name)
        value = self.builder.export(call, path, layer)
        return Inside(value, Read(call.value, name), path, layer)

    def wanted(self, path: str) -> Result:
        """A value that is read from outside of this table: an equation, or what is inside one."""
        head, _, rest = path.partition(".")
        if not rest:
            return self.equation(head)
        if path not in self.memo:
            self.memo[path] = self.inside(head, rest)
        return self.memo[path]

    def reach(self, path: str, layer: int) -> Read:
        """A value that left, or stood in, an earlier layer; raises Reject."""
        assert self.ascent is not None
        found = self.reaches.get((path, layer))
        if found is None:
            value = self.ascent.value(path, layer)
            same = sum(reach.path == path for reach in self.reaches.values())
            name = f"at.{path}" + (f".{same + 1}" if same else "")
            found = self.reaches[path, layer] = Reach(name, path, layer, value)
        return Read(found.value, found.name)

    def loan(self, line: str, layer: int | None) -> Loan:
        """Weights of an earlier layer, or of the model, that whoever computes this table hands in."""
        if (line, layer) not in self.loans:
            same = sum(
                loan.line == line and (loan.layer is None) == (layer is None) for loan in self.loans.values()
            )
            name = f"{'model' if layer is None else 'lent'}.{line}" + (f".{same + 1}" if same else "")
            self.loans[line, layer] = Loan(name, line, layer)
        return self.loans[line, layer]

    def share(self) -> bool:
        """Whether all weights that are shared still fit, once all is known that is read inside the calls."""
        faults = len(self.builder.findings.all)
        for at, guest, owner in self.guests:
            try:
                lend(at, guest, owner)
            except Reject as fault:
                self.builder.findings.add(fault.at(at.place(owner)))
        return len(self.builder.findings.all) == faults

    def all_loans(self) -> tuple[Loan, ...]:
        """Its own, and those of the model that what it calls needs."""
        for node in self.memo.values():
            if isinstance(node, Node):
                for inner in nodes(node):
                    for unit in (u for _, u in inner.members) if isinstance(inner, Call) else ():
                        for loan in unit.loans:
                            if loan.layer is None and self.table.kind != "model":
                                self.loan(loan.line, None)
        return tuple(self.loans.values())

    # -- lines

    def ordered_lines(self) -> tuple[Line, ...]:
        """The built equations in file order, as far as one may be computed after another.

        A result that replaces an input comes as late as may be: whoever reads the name means what entered.
        """
        built = {n: r for n, r in self.memo.items() if isinstance(r, Node)}
        places = {name: place for place, name in enumerate(dict.fromkeys([*self.table.equations, *built]))}
        rank = {name: (name in self.inputs, places[name]) for name in built}
        waits: dict[str, set[str]] = {}
        readers: dict[str, list[str]] = {name: [] for name in built}
        for name, node in built.items():
            read = {n.name for n in nodes(node) if isinstance(n, Read)} - self.inputs.keys()
            read |= {n.call.name for n in nodes(node) if isinstance(n, Inside)}  # the call, not what entered
            waits[name] = read & built.keys()
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
        return tuple(Line(name, built[name]) for name in order)


def circle_of(names: list[str]) -> str:
    """Write a -> b -> a; a long circle by its ends."""
    shown = names if len(names) <= 8 else [*names[:4], "..", *names[-3:]]
    return " -> ".join(shown)


def entering(values: dict[str, Value]) -> dict[str, Read]:
    """The inputs of a table, as its equations read them."""
    return {name: Read(value, name) for name, value in values.items()}


def known_numbers(memo: dict[str, Any], args: dict[str, Result]) -> dict[str, Any]:
    """Arguments and facts that are numbers, for what people read."""
    facts = {n: r for n, r in memo.items() if arithmetic.is_number(r) or r is None}
    return {**{n: a for n, a in args.items() if not isinstance(a, Module)}, **facts}
