"""Graph to PyTorch source that people read: one class a module and one a layer kind, the spec's own names,
a shape on every line. Imports no torch to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import define, field

from nanogen.answers.state import unit_has_branch
from nanogen.dials import Dial
from nanogen.graph import Apply, Climb, Graph, Loop, Node, Unit, owner_of, owns
from nanogen.primitives import Table
from nanogen.primitives.lookup import Bare, Embedding
from nanogen.reserved import LIBRARY_NAMES, LOCALS
from nanogen.spelling import LINE, camel, indent, wrap
from nanogen.unit_source import PLACEHOLDER, UnitWriter

LIBRARY = "runtime.primitives"


def emit(graph: Graph) -> str:
    """Return the source of a model: a Python file whose class `Model` maps tokens to logits."""
    return Emitter(graph).file()


@define(eq=False)
class Emitter:
    """The file being written: its classes, and what each unit is called in it."""

    graph: Graph
    classes: dict[str, str] = field(factory=dict)  # text without its name -> name
    texts: list[str] = field(factory=list)
    names: dict[tuple[Unit, Unit | None], str] = field(factory=dict)
    tables: dict[Table, str] = field(factory=dict)
    held: set[Unit] = field(factory=set)  # layers that stand in a ModuleList
    informed: set[Unit] = field(factory=set)  # layers of a stack in which one reads `now`: all are given it
    lenders: dict[tuple[Unit, str], list[Node]] = field(factory=dict)  # whose weights a loan of a unit is
    spoken: set[str] = field(factory=set)  # names of the spec's values: no class hides one

    def file(self) -> str:
        self.name_tables()
        self.look_around()
        self.class_of(self.graph.model)
        body = "\n\n\n".join(self.texts)
        head = ['"""Written by nanogen. B rows, T positions."""', "", "import torch"]
        if re.search(r"\bF\.", body):
            head.append("import torch.nn.functional as F")
        head += ["from torch import nn", "", *_import(body)]
        return "\n".join(head) + "\n\n\n" + body + "\n"

    def name_tables(self) -> None:
        found: list[Table] = []
        for unit in units(self.graph.model):
            for node in unit.nodes:
                table = node.primitive.table_of(*node.values) if isinstance(node, Apply) else None
                if table is not None and table not in found:
                    found.append(table)
        self.tables = {t: "rope" if len(found) == 1 else f"rope_{i + 1}" for i, t in enumerate(found)}

    def look_around(self) -> None:
        """Note which names are taken, which layers are held as modules, which are told of the past, who lends."""
        for unit in units(self.graph.model):
            self.spoken.update(name for name, _ in unit.inputs)
            self.spoken.update(line.name for line in unit.lines)
            for loan in unit.loans:
                if loan.layer is None:
                    self.lend(unit, loan.name, self.graph.model, loan.line)
            for node in unit.nodes:
                if isinstance(node, Climb):
                    self.held.update(node.layers if owns(node) else ())
                    self.informed.update(node.layers if any(map(needs_now, node.layers)) else ())
                    for layer in node.layers:
                        for loan in layer.loans:
                            if loan.layer is not None:
                                self.lend(layer, loan.name, node.layers[loan.layer], loan.line)

    def lend(self, unit: Unit, loan: str, lender: Unit, line: str) -> None:
        owner = owner_of(lender.line(line))
        assert owner is not None
        self.lenders.setdefault((unit, loan), []).append(owner)

    # -- classes

    def is_function(self, unit: Unit) -> bool:
        """Whether a unit is written as a function: it owns nothing, and nothing holds it as a module."""
        return unit.kind != "model" and not unit.owning and unit not in self.held

    def class_of(self, unit: Unit, lender: Unit | None = None) -> str:
        """Return the class name of a unit, writing the class on first sight; units of equal text share it.

        With a `lender`, it is a function that computes the unit with the weights of another.
        """
        if (unit, lender) not in self.names:
            writer = UnitWriter(self, unit, lender)
            text = writer.text()
            if text not in self.classes:
                name = self.free_name(unit, lender is not None)
                self.classes[text] = name
                self.texts.append(text.replace(PLACEHOLDER, name))
            self.names[unit, lender] = self.classes[text]
        return self.names[unit, lender]

    def same(self, unit: Unit, other: Unit) -> bool:
        """Whether two units are one class. What is written to find out, and is not, goes again."""
        if unit is other:
            return True
        written = dict(self.classes), list(self.texts), dict(self.names)
        equal = self.class_of(unit) == self.class_of(other)
        self.classes, self.texts, self.names = written
        return equal

    def free_name(self, unit: Unit, guest: bool) -> str:
        name = camel(unit.name)
        if unit.kind == "stack":
            name += "".join(camel(m) for m in unit.modules.values()) or "Layer"
        name += "Sharing" if guest else ""
        model = () if unit.kind == "model" else ("Model",)
        spoken = self.spoken if model else ()  # nothing calls the model
        taken = {*self.classes.values(), *spoken, *LIBRARY_NAMES, *LOCALS, *model}
        if name not in taken:
            return name
        number = 2
        while f"{name}{number}" in taken:
            number += 1
        return f"{name}{number}"

    def now_of(self, unit: Unit) -> bool:
        """Whether a unit is handed `now`."""
        return needs_now(unit) or unit in self.informed


def needs_now(unit: Unit) -> bool:
    """Whether a unit reads positions, rotary tables, the dtype, a dial or the past."""
    return unit_has_branch(unit) or any(map(_reads_now, unit.nodes)) or any(map(needs_now, unit.calls))


def _reads_now(node: Node) -> bool:
    if isinstance(node, Loop):
        return isinstance(node.times, Dial) or "turn" in dict(node.body.inputs)
    if not isinstance(node, Apply):
        return False
    return isinstance(node.primitive, Embedding | Bare) or node.primitive.table_of(*node.values) is not None


def units(unit: Unit) -> Iterable[Unit]:
    """The unit and all below it, each once."""
    seen: dict[Unit, None] = {}

    def visit(u: Unit) -> None:
        if u not in seen:
            seen[u] = None
            for inner in u.calls:
                visit(inner)

    visit(unit)
    return seen


def _import(body: str) -> list[str]:
    """Import of what the body uses, on as many lines as it takes."""
    used = sorted(n for n in LIBRARY_NAMES if re.search(rf"(?<![\w.]){n}\b", body))
    line = f"from {LIBRARY} import {', '.join(used)}"
    if len(line) <= LINE:
        return [line]
    return [f"from {LIBRARY} import (", *indent(wrap([f"{n}," for n in used], LINE - 4), 1), ")"]
