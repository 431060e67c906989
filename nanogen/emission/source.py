"""Graph to PyTorch source that people read: one class a module and one a layer kind, the spec's own names,
a shape on every line. Imports no torch to say so.
"""

from __future__ import annotations

import re

from attrs import define, field

from nanogen.emission.call_source import needs_now
from nanogen.emission.lending import Lending
from nanogen.emission.spelling import LINE, camel, indent, wrap
from nanogen.emission.unit_source import PLACEHOLDER, Form, UnitWriter
from nanogen.graph import Apply, Call, Climb, Graph, Unit, owns, units
from nanogen.language.reserved import LIBRARY_NAMES, LOCALS
from nanogen.primitives import Table

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
    names: dict[tuple[Unit, Form], str] = field(factory=dict)
    tables: dict[Table, str] = field(factory=dict)
    forms: dict[Call, Form] = field(factory=dict)
    lending: Lending = field(init=False)  # who may lend weights to whom
    spoken: set[str] = field(factory=set)  # names of the spec's values: no class hides one

    def file(self) -> str:
        self.name_tables()
        self.look_around()
        self.lending = Lending(self.graph.model)
        self.class_of(self.graph.model, Form())
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
        """Note which names the spec has taken."""
        for unit in units(self.graph.model):
            self.spoken.update(name for name, _ in unit.inputs)
            self.spoken.update(line.name for line in unit.lines)

    # -- classes

    def form_of(self, call: Call) -> Form:
        """How the members of a call are written: layers alike, as modules where there are weights to hold."""
        if call not in self.forms:
            layers = call.layers if isinstance(call, Climb) else ()
            held = isinstance(call, Climb) and (owns(call) or call.weights is not None)
            self.forms[call] = Form(held=held, told=any(map(needs_now, layers)))
        return self.forms[call]

    def class_of(self, unit: Unit, form: Form) -> str:
        """Return the class name of a unit, writing the class on first sight; units of equal text share it."""
        if (unit, form) not in self.names:
            text = UnitWriter(self, unit, form).text()
            if text not in self.classes:
                name = self.free_name(unit, bool(form.lenders))
                self.classes[text] = name
                self.texts.append(text.replace(PLACEHOLDER, name))
            self.names[unit, form] = self.classes[text]
        return self.names[unit, form]

    def same(self, unit: Unit, form: Form, other: Unit, others: Form) -> bool:
        """Whether two units are one class. What is written to find out, and is not, goes again."""
        if unit is other and form == others:
            return True
        written = dict(self.classes), list(self.texts), dict(self.names)
        equal = self.class_of(unit, form) == self.class_of(other, others)
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


def _import(body: str) -> list[str]:
    """Import of what the body uses, on as many lines as it takes."""
    used = sorted(n for n in LIBRARY_NAMES if re.search(rf"(?<![\w.]){n}\b", body))
    line = f"from {LIBRARY} import {', '.join(used)}"
    if len(line) <= LINE:
        return [line]
    return [f"from {LIBRARY} import (", *indent(wrap([f"{n}," for n in used], LINE - 4), 1), ")"]
