"""Who reads whom: unknown names, equations nothing can reach, and dims, inputs and modules nobody uses.

Reads every branch of every equation, so a slip is found in a part that these dims never build. Knows
nothing of numbers or shapes.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from nanogen.arithmetic import FUNCTIONS
from nanogen.diagnostics import Diagnostic, Findings, Place, closest, nearest
from nanogen.expression import Attribute, Call, Expression, Name, children
from nanogen.initial import DRAWS
from nanogen.initial import FUNCTIONS as LAW_FUNCTIONS
from nanogen.initial import VARIABLES as LAW_VARIABLES
from nanogen.primitives import PRIMITIVES
from nanogen.settings import kind_of_setting
from nanogen.spec import Equation, Spec, Table

WORDS = {"true", "false", "none"}
CALLS_TO_COME = {
    "at", "einsum", "decay_scan", "delta_scan", "choose", "experts", "noise", "dropout",
    "cross_entropy", "z_loss", "balance", "exit_loss",
}  # fmt: skip
SYMBOLS = ("init", "role", "choice", "stored")  # settings whose names are not names of values


@define
class Names:
    """What `check_names` found: slips to read on with, and which tables see the layer's index."""

    repairs: dict[tuple[str, str], str] = field(factory=dict)  # (table, unknown name) -> the name surely meant
    indexed: set[str] = field(factory=set)  # tables whose result may depend on `i`


def check_names(spec: Spec) -> tuple[Names, list[Diagnostic]]:
    """Resolve every name of a spec, in every branch."""
    checker = _Checker(spec)
    checker.run()
    return checker.names, checker.findings.all


class _Checker:
    def __init__(self, spec: Spec):
        self.spec, self.names, self.findings = spec, Names(), Findings()
        self.used_dims: set[str] = {"vocab", "context"}
        self.called: dict[str, set[str]] = {}  # table -> tables it may call

    def run(self) -> None:
        spec = self.spec
        for name, equation in spec.dims.items():
            self.resolve(equation, equation.expression, self.scope_of_dims(), "dims")
            self.not_taken(name, equation.path, "dim")
        for table in spec.tables.values():
            if table.name in PRIMITIVES or table.name in FUNCTIONS:
                place = Place(table.path, on_key=True)
                message = f"`{table.name}` is a primitive"
                self.findings.note("NG107", message, place, help="choose another name for the table")
        for table in [*spec.tables.values(), spec.model]:
            self.table(table)
        for primitive, settings in spec.defaults.items():
            self.defaults(primitive, settings)
        self.names.indexed = self.spread_index()
        if not self.findings.errors:
            self.unused_tables()
            self.unused_dims()

    # -- one table

    def table(self, table: Table) -> None:
        self.called[table.name] = set()
        scope = self.scope(table)
        for name in [*table.inputs, *table.args, *table.equations, *table.choices]:
            if name in self.spec.dims:
                path = self.path_of(table, name)
                self.findings.note("NG107", f"`{name}` is a dim", Place(path, on_key=True), help="choose another name")
        for equation in [*table.args.values(), *([table.layers] if table.layers else [])]:
            self.resolve(equation, equation.expression, self.scope_of_dims() | {"i"}, table.name)
        reads = {e.name: self.resolve(e, e.expression, scope, table.name) for e in table.equations.values()}
        for choice in table.choices.values():
            for rule in choice.rules:
                self.module_of_choice(rule.module, rule.path, table)
                if rule.layers is not None:
                    self.resolve(rule.layers, rule.layers.expression, scope, table.name)
        self.results(table)
        if not self.findings.errors:
            self.unused_parts(table, reads)

    def path_of(self, table: Table, name: str) -> tuple:
        if name in table.inputs and name not in table.equations:
            return (*table.path, "inputs")
        return (*table.path, "args", name) if name in table.args else (*table.path, name)

    def scope_of_dims(self) -> set[str]:
        return set(self.spec.dims) | WORDS

    def scope(self, table: Table) -> set[str]:
        own = {*table.inputs, *table.args, *table.equations, *table.choices}
        index = {"i"} if table.kind != "model" else set()
        return self.scope_of_dims() | own | index

    def module_of_choice(self, name: str, path: tuple, table: Table) -> None:
        if name in self.spec.tables:
            self.called[table.name].add(name)
        else:
            self.findings.note(
                "NG202", f"no module is called `{name}`", Place(path, on_key=True), help=nearest(name, self.spec.tables)
            )
            self.repair(table.name, name, self.spec.tables)

    def results(self, table: Table) -> None:
        if table.kind == "stack" and not table.results:
            help = f"give the equation of what leaves a layer: `{table.inputs[0]} = ...`"
            message = f"nothing leaves {table.described}: no input has an equation of its name"
            self.findings.note("NG206", message, Place(table.path), help=help)
        elif table.kind == "stack" and table.results[0] != table.inputs[0]:
            message = f"the first input of {table.described}, `{table.inputs[0]}`, has no equation"
            self.findings.note("NG206", message, Place(table.path), help="the first input is what the stack gives")
        for name in table.results:
            if name not in table.equations and name not in self.spec.document.data.get(table.kind, {}):
                key = table.path
                if name in self.keys_of(table):
                    continue  # it is there, and did not parse
                help = f"the result is called `{name}`"
                self.findings.note("NG206", f"{table.described} has no equation `{name}`", Place(key), help=help)

    def keys_of(self, table: Table) -> dict:
        data = self.spec.document.data
        for key in table.path:
            data = data.get(key, {}) if isinstance(data, dict) else {}
        return data if isinstance(data, dict) else {}

    # -- one equation

    def resolve(self, equation: Equation, node: Expression, scope: set[str], table: str) -> set[str]:
        """Check the names in `node`; return those it reads."""
        if isinstance(node, Name):
            return self.name(equation, node, scope, table)
        read: set[str] = set()
        parts: Iterator[Expression] | list[Expression] = children(node)
        if isinstance(node, Call):
            read |= self.call(equation, node, scope, table)
            parts = [*node.args, *self.values_of_settings(node)]
        elif isinstance(node, Attribute) and isinstance(node.base, Name) and node.base.id == "model":
            parts = []
        for part in parts:
            read |= self.resolve(equation, part, scope, table)
        return read

    def values_of_settings(self, call: Call) -> Iterator[Expression]:
        """The keyword values whose names are names; a role or an initial law has words of its own."""
        for name, value, _ in call.keywords:
            kind = kind_of_setting(call.callee, name)
            if kind == "init":
                yield from _free_names(value)
            elif kind not in SYMBOLS and name != "weights":
                yield value

    def name(self, equation: Equation, node: Name, scope: set[str], table: str) -> set[str]:
        if node.id in scope:
            if node.id in self.spec.dims:
                self.used_dims.add(node.id)
            if node.id == "i":
                self.names.indexed.add(table)
            return {node.id}
        if node.id in self.spec.tables:  # a module handed on as an argument, or chosen by `if`
            self.called[table].add(node.id) if table in self.called else None
            return {node.id}
        known = scope | (set(self.spec.tables) if table != "dims" else set())
        self.unknown("NG201", f"nothing is called `{node.id}` here", equation, node, node.id, known, table)
        return set()

    def call(self, equation: Equation, node: Call, scope: set[str], table: str) -> set[str]:
        name = node.callee
        if name in PRIMITIVES or name in FUNCTIONS:
            return set()
        if name in self.spec.tables:
            self.called.setdefault(table, set()).add(name)
            return {name}
        own = self.spec.tables.get(table) if table != "model" else self.spec.model
        if own is not None and (name in own.choices or name in own.args or name in own.equations):
            return {name}
        place = Place(equation.path, node.callee_span if equation.written else None)
        if name in CALLS_TO_COME:
            self.findings.note("NG104", f"`{name}` is not in this compiler yet", place, help="")
            return set()
        callable_names = {*PRIMITIVES, *self.spec.tables, *FUNCTIONS, *(own.choices if own else ())}
        help = nearest(name, callable_names)
        self.findings.note("NG202", f"no primitive, module or stack is called `{name}`", place, help=help)
        self.repair(table, name, callable_names)
        return set()

    def unknown(self, code: str, message: str, equation: Equation, node: Name, name: str, known: set[str], table: str):
        help = nearest(name, known)
        if name in ("tokens", "positions"):
            help = f"hand it down: `inputs = [\"x\", \"{name}\"]`"
        self.findings.add(Diagnostic(code, message, equation.place(node), help=help))
        self.repair(table, name, known)

    def repair(self, table: str, name: str, known) -> None:
        meant = closest(name, known)
        if meant is not None:
            self.names.repairs[table, name] = meant

    def not_taken(self, name: str, path: tuple, what: str) -> None:
        if name in FUNCTIONS:
            place = Place(path, on_key=True)
            self.findings.note("NG106", f"`{name}` is a function of numbers", place, help="choose another name")

    def defaults(self, primitive: str, settings: dict[str, Equation]) -> None:
        path = ("defaults", primitive)
        if primitive not in PRIMITIVES:
            place = Place(path, on_key=True)
            help = nearest(primitive, PRIMITIVES)
            self.findings.note("NG202", f"no primitive is called `{primitive}`", place, help=help)
            return
        scope = self.scope_of_dims() | {"i"}
        for name, equation in settings.items():
            kind = kind_of_setting(primitive, name)
            if kind == "init":
                for part in _free_names(equation.expression):
                    self.resolve(equation, part, scope, "defaults")
            elif kind is not None and kind not in SYMBOLS:
                self.resolve(equation, equation.expression, scope, "defaults")

    # -- over all tables

    def spread_index(self) -> set[str]:
        """A table depends on `i` when it, or one that it may call, reads it."""
        indexed = set(self.names.indexed)
        if "defaults" in indexed:
            return {*self.spec.tables, "model"}
        while True:
            more = {t for t, calls in self.called.items() if calls & indexed} - indexed
            if not more:
                return indexed
            indexed |= more

    def unused_parts(self, table: Table, reads: dict[str, set[str]]) -> None:
        """Equations that no result needs in any branch, and inputs and arguments that none reads."""
        reached, waiting = set(), list(table.results)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += [r for r in reads.get(name, ()) if r in table.equations and r not in table.inputs]
        live = set().union(*(reads.get(name, set()) for name in reached), reached)
        for choice in table.choices.values():
            for rule in choice.rules:
                live |= {n.id for n in _names(rule.layers.expression)} if rule.layers else set()
        for name in table.equations:
            if name not in reached:
                self.unused(f"no result of {table.described} reads `{name}`", (*table.path, name))
        for name in table.choices:
            if name not in live:
                self.unused(f"no result of {table.described} reads `{name}`", (*table.path, name))
        for name in table.args:
            if name not in live:
                self.unused(f"{table.described} never reads its argument `{name}`", (*table.path, "args", name))
        for place, name in enumerate(table.inputs):
            if name not in live and table.kind != "model":
                self.unused(f"{table.described} never reads its input `{name}`", (*table.path, "inputs", place))

    def unused(self, message: str, path: tuple) -> None:
        self.findings.note("NG402", message, Place(path, on_key=True), help="remove it, or use it")

    def unused_tables(self) -> None:
        reached, waiting = set(), ["model"]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.called.get(name, ())
        for name, table in self.spec.tables.items():
            if name not in reached:
                self.unused(f"nothing calls {table.described}", table.path)

    def unused_dims(self) -> None:
        for name, equation in self.spec.dims.items():
            if name not in self.used_dims:
                self.unused(f"nothing reads the dim `{name}`", equation.path)


def _names(node: Expression) -> Iterator[Name]:
    if isinstance(node, Name):
        yield node
    for child in children(node):
        yield from _names(child)


def _free_names(node: Expression) -> Iterator[Name]:
    """Names of an initial law that are not words of laws."""
    words = {*DRAWS, *LAW_VARIABLES, *LAW_FUNCTIONS}
    return (name for name in _names(node) if name.id not in words)
