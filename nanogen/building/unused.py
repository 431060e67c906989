"""Warnings of what nothing reads: equations, inputs, arguments, tables, dims and dials.

Is handed who reads whom, which `nanogen.building.names` finds; knows nothing of numbers or shapes.
"""

from __future__ import annotations

from attrs import define, field

from nanogen.language.expression import Call, walk
from nanogen.language.spec import Spec
from nanogen.language.tables import Table
from nanogen.text.diagnostics import Diagnostic, Findings, Place
from nanogen.text.document import Origin


@define
class Reads:
    """Who reads whom, in every branch."""

    dims: set[str] = field(factory=lambda: {"vocab", "context"})
    dials: set[str] = field(factory=set)
    called: dict[str, set[str]] = field(factory=dict)  # table -> tables it may call
    equations: dict[str, dict[str, set[str]]] = field(factory=dict)  # table -> equation -> names it reads
    inside: set[tuple[str, str, str]] = field(factory=set)  # table, equation, path that is read in its call
    lent: set[str] = field(factory=set)  # equations of the model whose weights are borrowed elsewhere
    handed: set[str] = field(factory=set)  # tables handed on as arguments, to whoever calls an argument
    alike: set[str] = field(factory=set)  # tables that a choice names: all take what one of them needs


def unused(spec: Spec, reads: Reads) -> list[Diagnostic]:
    """Return a warning for each part of a spec that nothing reads."""
    found = _Unused(spec, reads)
    inner = found.read_inside()
    for table in [*spec.tables.values(), spec.model]:
        found.parts(table, inner.get(table.name, set()))
    found.tables()
    found.dims_and_dials()
    return found.findings.all


@define
class _Unused:
    spec: Spec
    reads: Reads
    findings: Findings = field(factory=Findings)

    def warn(self, message: str, path: tuple) -> None:
        if isinstance(path[0], Origin):
            return  # a file that is used offers more than one model needs
        self.findings.note("NG402", message, Place(path, on_key=True), help="remove it, or use it")

    def read_inside(self) -> dict[str, set[str]]:
        """Equations that are read from outside of their table, by table: inside a call, or for their weights."""
        found: dict[str, set[str]] = {"model": set(self.reads.lent)}
        waiting, seen = list(self.reads.inside), set(self.reads.inside)
        while waiting:
            table, equation, path = waiting.pop()
            name, _, rest = path.partition(".")
            for callee in self.callees(table, equation):
                found.setdefault(callee, set()).add(name)
                if rest and (deeper := (callee, name, rest)) not in seen:
                    seen.add(deeper)
                    waiting.append(deeper)
        return found

    def callees(self, name: str, equation: str) -> set[str]:
        """Tables that an equation may call."""
        table = self.spec.model if name == "model" else self.spec.tables.get(name)
        if table is None or equation not in table.equations:
            return set()
        found: set[str] = set()
        for part in walk(table.equations[equation].expression):
            if not isinstance(part, Call):
                continue
            if part.callee in table.choices:
                found |= {rule.module for rule in table.choices[part.callee].rules}
            elif part.callee in table.args or part.callee in table.equations:  # a module, whoever hands it in
                found |= self.reads.handed
            else:
                found.add(part.callee)
        return found & self.spec.tables.keys()

    def parts(self, table: Table, inner: set[str]) -> None:
        """Equations that no result needs in any branch, and inputs and arguments that none reads."""
        reads = self.reads.equations[table.name]
        reached, waiting = set(), [*table.results, *(inner & table.equations.keys())]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += [r for r in reads.get(name, ()) if r in table.equations and r not in table.inputs]
        live = set().union(*(reads.get(name, set()) for name in reached), reached)
        for name in table.equations:
            if name not in reached:
                self.warn(f"no result of {table.described} reads `{name}`", (*table.path, name))
        for name in table.choices:
            if name not in live:
                self.warn(f"no result of {table.described} reads `{name}`", (*table.path, name))
        if table.name in self.reads.handed | self.reads.alike:
            return  # its inputs and arguments are those that its alternatives have too
        for name in table.args:
            if name not in live:
                self.warn(f"{table.described} never reads its argument `{name}`", (*table.path, "args", name))
        for place, name in enumerate(table.inputs):
            if name not in live and table.kind != "model":
                self.warn(f"{table.described} never reads its input `{name}`", (*table.path, "inputs", place))

    def tables(self) -> None:
        reached, waiting = set(), ["model"]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.reads.called.get(name, ())
        for name, table in self.spec.tables.items():
            if name not in reached:
                self.warn(f"nothing calls {table.described}", table.path)

    def dims_and_dials(self) -> None:
        for name, equation in self.spec.dims.items():
            if name not in self.reads.dims:
                self.warn(f"nothing reads the dim `{name}`", equation.path)
        for name, dial in self.spec.dials.items():
            if name not in self.reads.dials:
                self.warn(f"no loop turns by the dial `{name}`", dial.path)
