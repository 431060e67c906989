"""Who reads whom: unknown names, names with two meanings, results that are missing.

Reads every branch of every equation, so a slip is found in a part that these dims never build. Knows
nothing of numbers or shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field

from nanogen.building.inside import AT
from nanogen.building.unused import Reads, unused
from nanogen.language.arithmetic import FUNCTIONS
from nanogen.language.expression import Attribute, Call, Compare, Expression, Name, children, dotted, walk
from nanogen.language.initial import DRAWS
from nanogen.language.initial import VARIABLES as LAW_VARIABLES
from nanogen.language.settings import kind_of_setting, settings_of
from nanogen.language.spec import Spec
from nanogen.language.tables import Equation, Table
from nanogen.primitives import PRIMITIVES
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place, closest, nearest
from nanogen.text.document import Origin

WORDS = {"true", "false", "none"}
CALLS_TO_COME = {
    "decay_scan", "delta_scan", "choose", "experts",
    "cross_entropy", "z_loss", "balance", "exit_loss",
}  # fmt: skip
HELPED = 50  # faults that are told with help; a file with more is not a slip of the pen
SYMBOLS = ("init", "role", "choice", "stored")  # settings whose names are not names of values


@define
class Names:
    """What `check_names` found: slips to read on with, and which tables see the layer's index."""

    repairs: dict[tuple[str, str], str] = field(
        factory=dict
    )  # (table, unknown name) -> the name surely meant
    indexed: set[str] = field(factory=set)  # tables whose result may depend on `i`
    turning: set[str] = field(factory=set)  # loops that read `turn`
    ambiguous: set[str] = field(factory=set)  # names with two meanings: whoever reads them cannot be judged


def check_names(spec: Spec) -> tuple[Names, list[Diagnostic]]:
    """Resolve every name of a spec, in every branch."""
    checker = _Checker(spec)
    checker.run()
    return checker.names, checker.findings.all


class _Checker:
    def __init__(self, spec: Spec):
        self.spec, self.names, self.findings = spec, Names(), Findings()
        self.reads = Reads({"vocab", "context"}.union(*(t.reads for t in spec.imports.values())))
        self.takers: set[str] = set()  # tables that call an argument
        self.unknowns: dict[str, list[Place]] = {}  # name -> where it is read
        self.near: set[str] = set()  # further names that the key being read may be a slip of
        self.known_dims = set(spec.dims) | spec.refused | WORDS

    def run(self) -> None:
        spec = self.spec
        for name, equation in spec.dims.items():
            self.resolve(equation, equation.expression, self.known_dims, "dims")
            if name in FUNCTIONS:
                self.collision(name, "a dim", "a function of numbers", equation.path)
        for table in spec.tables.values():
            if table.name in PRIMITIVES or table.name in FUNCTIONS:
                self.collision(table.name, f"a {table.kind}", "a primitive", table.path)
            elif table.name in spec.dims:
                self.collision(table.name, f"a {table.kind}", "a dim", table.path)
        for name, dial in spec.dials.items():
            if name in spec.dims:
                self.collision(name, "a dial", "a dim", dial.path)
            elif name in spec.tables:
                self.collision(name, "a dial", f"a {spec.tables[name].kind}", dial.path)
        for table in [*spec.tables.values(), spec.model]:
            self.table(table)
        for table in {id(t.defaults): t for t in [*spec.tables.values(), spec.model]}.values():
            base = table.path[:1] if isinstance(table.path[0], Origin) else ()
            for primitive, settings in table.defaults.items():
                self.defaults(primitive, settings, (*base, "defaults", primitive))
        self.names.indexed = self.spread_index()
        if not self.findings.errors:
            self.findings.extend(unused(spec, self.reads))

    def collision(self, name: str, one: str, other: str, path: tuple) -> None:
        """Tell of a name with two meanings, once: one of the two will be renamed."""
        if name in self.names.ambiguous:
            return
        self.names.ambiguous.add(name)
        notes = (Note(Place(self.spec.dims[name].path, on_key=True), "the dim"),) if other == "a dim" else ()
        message, place = f"`{name}` is {one} and {other}", Place(path, on_key=True)
        self.findings.add(Diagnostic("NG107", message, place, help="choose another name", notes=notes))

    # -- one table

    def table(self, table: Table) -> None:
        self.reads.called[table.name] = set()
        scope = self.scope(table)
        self.one_meaning(table)
        indexed = self.known_dims | {"i"}
        counts = [e for e in (table.count, table.backprop) if e is not None]
        for equation in [*table.args.values(), *counts]:
            if not self.dialled(table, equation):
                turned = equation is table.count and table.kind == "loop"
                self.near = set(self.spec.dials) if turned else set()
                self.resolve(equation, equation.expression, indexed, table.name)
        self.near = set()
        reads = {e.name: self.resolve(e, e.expression, scope, table.name) for e in table.equations.values()}
        for choice in table.choices.values():
            for rule in choice.rules:
                self.chosen(rule.module, rule.path, table)
                if rule.layers is not None:
                    self.resolve(rule.layers, rule.layers.expression, indexed, table.name)
        self.results(table)
        self.reads.equations[table.name] = reads

    def dialled(self, table: Table, equation: Equation) -> bool:
        """Whether an equation is the `times` of a loop, read off a dial."""
        name = equation.expression.id if isinstance(equation.expression, Name) else None
        if table.kind != "loop" or equation is not table.count or name not in self.spec.dials:
            return False
        self.reads.dials.add(name)
        return True

    def one_meaning(self, table: Table) -> None:
        """A name is one thing: a dim, an input, an argument, a choice or an equation."""
        inputs = () if table.kind == "model" else table.inputs
        meanings = {
            **dict.fromkeys(self.spec.dials, "a dial"),
            **dict.fromkeys(self.spec.dims, "a dim"),
            **dict.fromkeys(table.args, "an argument"),
        }
        for name in table.args:
            for kind, known in (("a dim", self.spec.dims), ("a dial", self.spec.dials)):
                if name in known:
                    self.collision(name, "an argument", kind, (*table.path, "args", name))
        for place, name in enumerate(inputs):
            if name in meanings:
                self.collision(name, "an input", meanings[name], (*table.path, "inputs", place))
            meanings.setdefault(name, "an input")
        for name in [*table.args, *table.choices]:
            if name in PRIMITIVES or name in FUNCTIONS:
                path = (*table.path, *(("args",) if name in table.args else ()), name)
                self.collision(name, "an argument" if name in table.args else "a choice", "a primitive", path)
        for name in [*table.equations, *table.choices]:
            leaves = table.carries and name in inputs and name in table.equations
            if name in meanings and not leaves:
                kind = "a choice" if name in table.choices else "an equation"
                self.collision(name, kind, meanings[name], (*table.path, name))

    def scope(self, table: Table) -> set[str]:
        own = {*table.inputs, *table.args, *table.equations, *table.choices, *table.refused}
        index = {"model": set(), "loop": {"i", "turn"}}.get(table.kind, {"i"})
        return self.known_dims | own | index

    def chosen(self, name: str, path: tuple, table: Table) -> None:
        """A module, stack or dim that a choice may stand for."""
        if name in self.spec.tables:
            self.reads.called[table.name].add(name)
            self.reads.alike.add(name)
        elif name in self.spec.dims:
            self.reads.dims.add(name)
        elif name not in self.spec.refused:
            known = {*self.spec.tables, *self.spec.dims} - {"vocab", "context"}
            place = Place(path, on_key=True)
            self.findings.note(
                "NG202", f"no module is called `{name}`", place, help=self.like(name, self.spec.tables)
            )
            self.repair(table.name, name, known)

    def results(self, table: Table) -> None:
        given = {*table.equations, *table.refused}
        unit = "a layer" if table.kind == "stack" else "a turn"
        if table.carries and not {*table.inputs} & given:
            help = f"give the equation of what leaves {unit}: `{table.inputs[0]} = ...`"
            message = f"nothing leaves {table.described}: no input has an equation of its name"
            self.findings.note("NG206", message, Place(table.path), help=help)
        elif table.carries and table.inputs[0] not in given:
            message = f"the first input of {table.described}, `{table.inputs[0]}`, has no equation"
            help = f"the first input is what the {table.kind} gives: `{table.inputs[0]} = ...`"
            self.findings.note("NG206", message, Place(table.path), help=help)
        for name in table.results:
            if name not in given:
                slip = closest(name, table.equations) if len(name) > 1 else None
                help = f"is `{slip}` meant to be `{name}`?" if slip else f"the result is called `{name}`"
                place = Place((*table.path, slip), on_key=True) if slip else Place(table.path)
                self.findings.note("NG206", f"{table.described} has no equation `{name}`", place, help=help)

    # -- one equation

    def resolve(self, equation: Equation, node: Expression, scope: set[str], table: str) -> set[str]:
        """Check the names in `node`; return those it reads."""
        if isinstance(node, Name):
            return self.name(equation, node, scope, table)
        read: set[str] = set()
        parts: Iterator[Expression] | list[Expression] = children(node)
        if isinstance(node, Call):
            read |= self.call(equation, node, table)
            read |= self.owners(equation, node, scope, table)
            args = [a for a in node.args if not self.compared(equation, node, a)]
            parts = [*args, *self.values_of_settings(equation, node, table)]
        elif isinstance(node, Attribute):
            head, path = dotted(node)
            if isinstance(head, Name) and head.id == "model":
                self.no_value(equation, node)
                return read
            if isinstance(head, Name):
                self.reads.inside.add((table, head.id, path))
            parts = [head]
        for part in parts:
            read |= self.resolve(equation, part, scope, table)
        return read

    def owners(self, equation: Equation, call: Call, scope: set[str], table: str) -> set[str]:
        """What `weights=` reads: an equation of this table, of the model, or of an earlier layer."""
        read: set[str] = set()
        for name, value, _ in call.keywords:
            if name != "weights":
                continue
            if isinstance(value, Attribute) and isinstance(value.base, Name) and value.base.id == "model":
                self.lent(equation, value)
            elif isinstance(value, Name) and value.id == "model":
                continue  # the model as a whole has no weights to lend, as is told with the call
            else:
                read |= self.resolve(equation, value, scope, table)
        return read

    def no_value(self, equation: Equation, node: Attribute) -> None:
        help = "weights of the model are borrowed: `weights=model.embed`; values are handed down as inputs"
        self.findings.note("NG201", "`model` is no value", equation.place(node), help=help)

    def lent(self, equation: Equation, owner: Attribute) -> None:
        self.reads.lent.add(owner.name)
        if owner.name not in {*self.spec.model.equations, *self.spec.model.refused}:
            message = f"[model] has no equation `{owner.name}`"
            help = self.like(owner.name, self.spec.model.equations)
            self.findings.note("NG201", message, equation.place(owner), help=help)

    def compared(self, equation: Equation, call: Call, arg: Expression) -> bool:
        """Refuse `init==zeros` where `init=zeros` is meant."""
        first = arg.first if isinstance(arg, Compare) and arg.rest[0][0] == "==" else None
        own = self.spec.tables.get(call.callee)
        known = settings_of(call.callee) if call.callee in PRIMITIVES else own.args if own else ()
        if not isinstance(first, Name) or first.id not in known:
            return False
        message = f"the setting `{first.id}` is compared, not given"
        self.findings.note("NG112", message, equation.place(arg), help=f"write one `=`: `{first.id}=..`")
        return True

    def values_of_settings(self, equation: Equation, call: Call, table: str) -> Iterator[Expression]:
        """The keyword values whose names are names; a role or an initial law has words of its own."""
        for name, value, _ in call.keywords:
            kind = kind_of_setting(call.callee, name)
            if name != "weights":
                yield from self.names_of_setting(kind, equation, value, table)

    def names_of_setting(
        self, kind: str | None, equation: Equation, value: Expression, table: str
    ) -> Iterator[Expression]:
        if kind == "init":
            yield from self.names_of_law(equation, value, table)
        elif kind == "variant":
            yield from (number for _, number, _ in value.keywords) if isinstance(value, Call) else ()
        elif kind not in SYMBOLS:
            yield value

    def names_of_law(self, equation: Equation, law: Expression, table: str) -> Iterator[Name]:
        """Names of an initial law that are not words of laws; its calls are checked on the way."""
        for part in walk(law):
            if isinstance(part, Call) and part.callee not in DRAWS:
                self.call(equation, part, table)
            if isinstance(part, Name) and part.id not in DRAWS and part.id not in LAW_VARIABLES:
                yield part

    def name(self, equation: Equation, node: Name, scope: set[str], table: str) -> set[str]:
        if node.id in scope:
            if node.id in self.spec.dims:
                self.reads.dims.add(node.id)
            if node.id == "i":
                self.names.indexed.add(table)
            if node.id == "turn":
                self.names.turning.add(table)
            return {node.id}
        if node.id in self.spec.tables:  # a module handed on as an argument, or chosen by `if`
            self.reads.handed.add(node.id)
            self.reads.called.setdefault(table, set()).add(node.id)
            return {node.id}
        self.unknown(equation, node, scope | (set(self.spec.tables) if table != "dims" else set()), table)
        return set()

    def call(self, equation: Equation, node: Call, table: str) -> set[str]:
        name = node.callee
        own = self.spec.tables.get(table) if table != "model" else self.spec.model
        if own is not None and own.equations.get(equation.name) is not equation:
            own = None  # a default, a rule or the number of layers: the table's own names are not there
        if own is not None and (name in own.choices or name in own.args):
            self.takers.add(table)
            return {name}
        if name in PRIMITIVES or name in FUNCTIONS:
            return set()
        if name == AT:
            self.names.indexed.add(table)
            return set()
        if name in self.spec.tables:
            self.reads.called.setdefault(table, set()).add(name)
            return {name}
        if own is not None and name != equation.name and (name in own.equations or name in own.refused):
            return {name}
        place = Place(equation.path, node.callee_span if equation.written else None)
        if name in CALLS_TO_COME:
            help = "write it with the primitives there are, or leave it out"
            self.findings.note("NG104", f"`{name}` is not in this compiler yet", place, help=help)
        elif name not in self.spec.refused:
            self.unknown_call(name, place, own, table)
        return set()

    def unknown_call(self, name: str, place: Place, own: Table | None, table: str) -> None:
        known = {
            *PRIMITIVES,
            *self.spec.tables,
            *FUNCTIONS,
            *(own.choices if own else ()),
            *(own.args if own else ()),
        }
        message = f"no primitive, module or stack is called `{name}`"
        self.unknowns.setdefault(f"{name}()", []).append(place)
        if len(self.unknowns[f"{name}()"]) == 1:
            self.findings.note("NG202", message, place, help=self.like(name, known))
        self.repair(table, name, known)

    def unknown(self, equation: Equation, node: Name, known: set[str], table: str) -> None:
        name = node.id
        place = equation.place(node)
        if name in self.spec.dials:
            self.reads.dials.add(name)
            help = f'it says how often a loop turns: `times = "{name}"`'
            self.findings.note("NG207", f"`{name}` is a dial, chosen at run time", place, help=help)
            return
        message, primitive = f"nothing is called `{name}` here", name in PRIMITIVES
        lent = isinstance(place.path[0], Origin)
        if primitive:
            message = f"`{name}` is a primitive, and only modules and values are handed on"
        help = {
            "tokens": 'hand it down: `inputs = ["x", "tokens"]`',
            "positions": 'hand it down: `inputs = ["x", "positions"]`',
            "i": "the layer's index exists in stacks, and in modules called there",
            "turn": 'the turn exists in loops; hand it down: `inputs = ["x", "turn"]`',
        }.get(name) or self.like(name, known | self.near)
        if lent and not primitive:
            message = f"`{name}` is given neither by `{place.path[0]}` nor by `{self.spec.document.name}`"
            if closest(name, known) is None:
                help = f"if it is a size, give it where the file is used: `[dims]` with `{name} = ..`"
        if primitive:
            help = f'make a module of it: `[module.NAME]` with `y = "{name}(x)"`'
        self.unknowns.setdefault(name, []).append(place)
        if len(self.unknowns[name]) == 1:  # one slip, however many read it
            self.findings.note("NG201", message, place, help=help)
        self.repair(table, name, known)

    def like(self, name: str, known: Iterable[str]) -> str:
        """Help for an unknown name, while faults are few enough to be read."""
        return nearest(name, set(known) - WORDS - {"i"}) if len(self.findings.all) < HELPED else ""

    def repair(self, table: str, name: str, known: Iterable[str]) -> None:
        meant = closest(name, set(known) - WORDS - {"i"}) if len(self.findings.all) < HELPED else None
        if meant is not None:
            self.names.repairs[table, name] = meant

    def defaults(self, primitive: str, settings: dict[str, Equation], path: tuple) -> None:
        if primitive not in PRIMITIVES:
            path = next(iter(settings.values())).path[:-1] if settings else path
            place = Place(path, on_key=True)
            help = self.like(primitive, PRIMITIVES)
            self.findings.note("NG202", f"no primitive is called `{primitive}`", place, help=help)
            return
        if settings and not settings_of(primitive):
            place = Place(next(iter(settings.values())).path[:-1], on_key=True)
            self.findings.note("NG113", f"`{primitive}` has no settings", place, help="remove its defaults")
            return
        for name, equation in settings.items():
            kind = kind_of_setting(primitive, name)
            if kind is None:
                help = nearest(name, settings_of(primitive))
                place = Place(equation.path, on_key=True)
                self.findings.note("NG113", f"`{primitive}` has no setting `{name}`", place, help=help)
            elif kind in ("text", "value"):
                help = "give it where the primitive is called"
                place = Place(equation.path, on_key=True)
                self.findings.note("NG113", f"`{name}` of `{primitive}` has no default", place, help=help)
            else:
                for part in self.names_of_setting(kind, equation, equation.expression, "defaults"):
                    self.resolve(equation, part, self.known_dims | {"i"}, "defaults")

    # -- over all tables

    def spread_index(self) -> set[str]:
        """A table depends on `i` when it, or one that it may call, reads it."""
        indexed = set(self.names.indexed)
        if "defaults" in indexed:
            return {*self.spec.tables, "model"}
        called = {
            t: calls | (self.reads.handed if t in self.takers else set())
            for t, calls in self.reads.called.items()
        }
        while True:
            more = {t for t, calls in called.items() if calls & indexed} - indexed
            if not more:
                return indexed
            indexed |= more
