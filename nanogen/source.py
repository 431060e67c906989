"""Graph to PyTorch source that people read: one class a module and one a layer kind, the spec's own names,
a shape on every line. Imports no torch to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import define, field

from nanogen.answers.state import slots, unit_sees_past
from nanogen.graph import Apply, Climb, Enter, Graph, Line, Node, Read, Unit, called, nodes, owner_of, owns
from nanogen.load import Value
from nanogen.primitives import Site, Table
from nanogen.primitives.lookup import Bare, Embedding
from nanogen.primitives.pointwise import Arithmetic
from nanogen.reserved import LOCALS

COMMENT_COLUMN = 72
LINE = 110
LIBRARY = "runtime.primitives"
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_ATOM = 9


def emit(graph: Graph) -> str:
    """Return the source of a model: a Python file whose class `Model` maps tokens to logits."""
    return _Emitter(graph).file()


@define(eq=False)
class _Emitter:
    graph: Graph
    classes: dict[str, str] = field(factory=dict)  # text without its name -> name
    texts: list[str] = field(factory=list)
    names: dict[Unit, str] = field(factory=dict)
    tables: dict[Table, str] = field(factory=dict)
    held: set[Unit] = field(factory=set)  # layers that stand in a ModuleList
    informed: set[Unit] = field(factory=set)  # layers of a stack in which one reads `now`: all are given it

    def file(self) -> str:
        self.name_tables()
        self.look_at_stacks()
        self.class_of(self.graph.model)
        body = "\n\n\n".join(self.texts)
        head = ['"""Written by nanogen. B rows, T positions."""', "", "import torch"]
        if re.search(r"\bF\.", body):
            head.append("import torch.nn.functional as F")
        head += ["from torch import nn", "", *_import(body)]
        return "\n".join(head) + "\n\n\n" + body + "\n"

    def name_tables(self) -> None:
        found: list[Table] = []
        for unit in _units(self.graph.model):
            for line in unit.lines:
                for node in nodes(line.node):
                    table = node.primitive.table_of(*node.values) if isinstance(node, Apply) else None
                    if table is not None and table not in found:
                        found.append(table)
        self.tables = {t: "rope" if len(found) == 1 else f"rope_{i + 1}" for i, t in enumerate(found)}

    def look_at_stacks(self) -> None:
        for unit in _units(self.graph.model):
            for line in unit.lines:
                for node in nodes(line.node):
                    if isinstance(node, Climb):
                        self.held.update(node.layers if owns(node) else ())
                        self.informed.update(node.layers if any(map(needs_now, node.layers)) else ())

    # -- classes

    def is_function(self, unit: Unit) -> bool:
        """Whether a unit is written as a function: it owns nothing, and nothing holds it as a module."""
        return unit.kind != "model" and not unit.owning and unit not in self.held

    def class_of(self, unit: Unit) -> str:
        """Return the class name of a unit, writing the class on first sight; units of equal text share it."""
        if unit not in self.names:
            for inner in _called(unit):
                self.class_of(inner)
            text = _Class(self, unit).text()
            if text not in self.classes:
                name = self.free_name(unit)
                self.classes[text] = name
                self.texts.append(text.replace(_PLACEHOLDER, name))
            self.names[unit] = self.classes[text]
        return self.names[unit]

    def free_name(self, unit: Unit) -> str:
        camel = _camel(unit.name)
        if unit.kind == "stack":
            camel += "".join(_camel(m) for m in unit.modules.values()) or "Layer"
        taken = {
            *self.classes.values(),
            *_library_names(),
            *LOCALS,
            *(() if unit.kind == "model" else ("Model",)),
        }
        if camel not in taken:
            return camel
        number = 2
        while f"{camel}{number}" in taken:
            number += 1
        return f"{camel}{number}"


_PLACEHOLDER = "\0class\0"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


@define(eq=False)
class _Class:
    """One unit being written as a class, or as a function where it owns nothing."""

    emitter: _Emitter
    unit: Unit
    statements: list[str] = field(factory=list)
    taken: set[str] = field(factory=set)  # names that another variable may not have
    arguments: dict[str, str] = field(factory=dict)  # name of an input -> its variable
    locals: dict[str, str] = field(factory=dict)  # name of a line -> its variable

    def __attrs_post_init__(self) -> None:
        """Name the variables as the spec does, save where that would hide what the source calls.

        A result that replaces an input beside others gets a name of its own: they leave together.
        """
        inputs, lines = [n for n, _ in self.unit.inputs], [line.name for line in self.unit.lines]
        classes = {self.emitter.class_of(unit) for unit in _called(self.unit)}
        hidden = {*LOCALS, "enumerate", *_library_names(), *classes}
        self.taken = {*hidden, *inputs, *lines}
        self.arguments = {n: self.free(n) if n in hidden else n for n in inputs}
        apart = sum(n in inputs for n in self.unit.results) > 1
        for name in lines:
            if name in inputs:
                self.locals[name] = self.free(f"{name}_out") if apart else self.arguments[name]
            else:
                self.locals[name] = self.free(name) if name in hidden else name

    def free(self, name: str) -> str:
        """A variable that nothing else in this unit means."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def text(self) -> str:
        forward = self.forward()
        if self.emitter.is_function(self.unit):
            return "\n".join(
                [f"def {_PLACEHOLDER}({self.signature()}):", f"    {self.docstring()}", *_indent(forward, 1)]
            )
        init = ["def __init__(self):", "    super().__init__()", *_indent(self.attributes(), 1)]
        method = [f"def forward(self, {self.signature()}):", *_indent(forward, 1)]
        head = [f"class {_PLACEHOLDER}(nn.Module):", f"    {self.docstring()}", ""]
        return "\n".join([*head, *_indent(init, 1), "", *_indent(method, 1)])

    def docstring(self) -> str:
        unit = self.unit
        if unit.kind == "model":
            return f'"""[model]  tokens (B T) -> logits ({unit.line("logits").node.value})"""'
        inputs = ", ".join(f"{n} ({_shape(v)})" for n, v in unit.passed)
        results = ", ".join(f"{n} ({unit.line(n).node.value})" for n in unit.results)
        what = f"[{unit.kind}.{unit.name}]"
        modules = "".join(f"  {n} = {m}" for n, m in unit.modules.items())
        return f'"""{what}{modules}  {inputs} -> {results}"""'

    def signature(self) -> str:
        if self.unit.kind == "model":
            return "tokens, now=None"
        names = list(self.arguments.values())
        informed = needs_now(self.unit) or self.unit in self.emitter.informed
        return ", ".join(names + (["now"] if informed else []))

    def attributes(self) -> list[str]:
        """What the class owns, in the order of the file."""
        found = []
        for line in self.unit.lines:
            owner = owner_of(line)
            if isinstance(owner, Apply):
                found.append(f"self.{line.name} = {owner.primitive.construct(*owner.values)}")
            elif isinstance(owner, Enter):
                found.append(f"self.{line.name} = {self.emitter.class_of(owner.unit)}()")
            elif isinstance(owner, Climb):
                found += self.module_list(line.name, owner)
        return found

    def module_list(self, name: str, climb: Climb) -> list[str]:
        kinds = [self.emitter.class_of(layer) for layer in climb.layers]
        if len(set(kinds)) == 1:
            return [f"self.{name} = nn.ModuleList([{kinds[0]}() for _ in range({len(kinds)})])"]
        rows = _wrap([f"{kind}()," for kind in kinds], LINE - 16)
        return [f"self.{name} = nn.ModuleList([", *_indent(rows, 1), "])"]

    # -- forward

    def forward(self) -> list[str]:
        self.statements = []
        if self.unit.kind == "model":
            self.begin()
        for line in self.unit.lines:
            text, _ = self.expression(line.node, line, slots(line))
            local = self.locals[line.name]
            if text != local or not isinstance(line.node, Climb):
                self.say(f"{local} = {text}", line.node.value)
        results = ", ".join(self.locals[name] for name in self.unit.results)
        return [*self.statements, f"return {results}"]

    def begin(self) -> None:
        """The model makes what all its parts read: positions, dtype and rotary tables."""
        self.statements.append("now = now or Now.start(tokens)")
        for table, name in self.emitter.tables.items():
            settings = f"base={table.base!r}, direction={table.direction}, dtype=torch.{table.dtype}"
            call = f"rope_table(now.positions, {table.channels}, {settings})"
            self.statements.append(f'now.tables["{name}"] = {call}')
        if any(n == "positions" for n, _ in self.unit.passed):
            self.say("positions = now.positions.expand(tokens.shape)", dict(self.unit.inputs)["positions"])

    def reading(self, name: str) -> str:
        """The variable that a reader of a name means: an input as it entered."""
        return self.arguments.get(name) or self.locals[name]

    def say(self, statement: str, value: Value, depth: int = 0) -> None:
        text = "    " * depth + statement
        pad = max(2, COMMENT_COLUMN - 8 - len(text))
        self.statements.append(f"{text}{' ' * pad}# {_shape(value)}")

    def expression(self, node: Node, line: Line, slot: dict[Node, str]) -> tuple[str, int]:
        """Return the source of a node, and how tightly its text binds."""
        match node:
            case Read(name=name):
                return self.reading(name), _ATOM
            case Apply():
                return self.application(node, line, slot)
            case Enter():
                return self.entrance(node, line, slot), _ATOM
            case Climb():
                return self.ascent(node, line, slot), _ATOM
        raise AssertionError(node)

    def application(self, node: Apply, line: Line, slot: dict[Node, str]) -> tuple[str, int]:
        primitive = node.primitive
        binding = _binding(node)
        texts = []
        for place, part in enumerate(node.inputs):
            text, tightness = self.expression(part, line, slot)
            loose = tightness < _needed(node, place)
            texts.append(f"({text})" if loose else text)
        table = primitive.table_of(*node.values)
        site = Site(
            inputs=tuple(texts),
            values=node.values,
            out=node.value,
            owner=f"self.{line.name}" if node is owner_of(line) else "",
            past=f'now["{slot[node]}"]' if node in slot else "",
            table=f'now.tables["{self.emitter.tables[table]}"]' if table else "",
        )
        return primitive.source(site), binding

    def entrance(self, node: Enter, line: Line, slot: dict[Node, str]) -> str:
        args = [self.expression(part, line, slot)[0] for part in node.inputs]
        args += self.now(node, node.unit, slot)
        name = f"self.{line.name}" if node is owner_of(line) else self.emitter.class_of(node.unit)
        return f"{name}({', '.join(args)})"

    def now(self, node: Node, unit: Unit, slot: dict[Node, str]) -> list[str]:
        if node in slot:
            return [f'now["{slot[node]}"]']
        return ["now"] if needs_now(unit) else []

    def ascent(self, node: Climb, line: Line, slot: dict[Node, str]) -> str:
        """Write the loop over the layers; its result is the first value that a layer leaves."""
        carried = node.layers[0].results
        local = self.climbers(node, line, slot)
        past = node in slot
        modules = f"self.{line.name}" if node is owner_of(line) else self.functions(node)
        self.statements.append(
            f"for i, layer in enumerate({modules}):" if past else f"for layer in {modules}:"
        )
        args = list(local.values())
        if node.layers[0] in self.emitter.informed:
            args.append(f'now["{slot[node]}"][i]' if past else "now")
        self.say(f"{', '.join(local[n] for n in carried)} = layer({', '.join(args)})", node.value, depth=1)
        return local[carried[0]]

    def climbers(self, node: Climb, line: Line, slot: dict[Node, str]) -> dict[str, str]:
        """Set the variables that enter the first layer; what is carried has one of its own.

        The line's own variable carries the result, unless it is also an input of this unit: a part beside
        the first may still read that.
        """
        names, carried = [n for n, _ in node.layers[0].inputs], node.layers[0].results
        direct = node is line.node and (line.name not in self.arguments or len(names) == 1)
        local: dict[str, str] = {}
        for name, part in zip(names, node.inputs, strict=True):
            text, _ = self.expression(part, line, slot)
            if name not in carried and isinstance(part, Read):
                local[name] = text
                continue
            own = direct and name == carried[0]
            local[name] = self.locals[line.name] if own else self.free(f"{line.name}_{name}")
            if text != local[name]:
                self.say(f"{local[name]} = {text}", part.value)
        return local

    def functions(self, climb: Climb) -> str:
        """The layers of a stack that owns nothing, as a list."""
        kinds = [self.emitter.class_of(layer) for layer in climb.layers]
        return f"[{kinds[0]}] * {len(kinds)}" if len(set(kinds)) == 1 else f"[{', '.join(kinds)}]"


def needs_now(unit: Unit) -> bool:
    """Whether a unit reads positions, rotary tables, the dtype or the past."""
    if unit_sees_past(unit):
        return True
    applied = (node for line in unit.lines for node in nodes(line.node) if isinstance(node, Apply))
    return any(map(_reads_now, applied)) or any(map(needs_now, _called(unit)))


def _reads_now(node: Apply) -> bool:
    return isinstance(node.primitive, Embedding | Bare) or node.primitive.table_of(*node.values) is not None


def _binding(node: Apply) -> int:
    primitive = node.primitive
    return _BINDING[primitive.operator] if isinstance(primitive, Arithmetic) else primitive.binding


def _needed(node: Apply, place: int) -> int:
    """How tightly the text of an input must bind where it stands."""
    primitive = node.primitive
    if not isinstance(primitive, Arithmetic):
        return _ATOM if primitive.postfix else 0
    if primitive.suffix(place, node.value, node.values):
        return _ATOM
    own = _BINDING[primitive.operator]
    second = place == 1 or (primitive.number is not None and primitive.number_first)
    return own + (second or primitive.operator == "**")


def _called(unit: Unit) -> Iterable[Unit]:
    return (inner for line in unit.lines for node in nodes(line.node) for inner in called(node))


def _units(unit: Unit) -> Iterable[Unit]:
    """The unit and all below it, each once."""
    seen: dict[Unit, None] = {}

    def visit(u: Unit) -> None:
        if u not in seen:
            seen[u] = None
            for inner in _called(u):
                visit(inner)

    visit(unit)
    return seen


def _shape(value: Value) -> str:
    return value.described


def _indent(lines: Iterable[str], depth: int) -> list[str]:
    return ["    " * depth + line if line else line for line in lines]


def _wrap(words: list[str], width: int) -> list[str]:
    rows, row = [], ""
    for word in words:
        if row and len(row) + 1 + len(word) > width:
            rows.append(row)
            row = ""
        row = f"{row} {word}" if row else word
    return [*rows, row]


def _import(body: str) -> list[str]:
    """Import of what the body uses, on as many lines as it takes."""
    used = sorted(n for n in _library_names() if re.search(rf"\b{n}\b", body))
    line = f"from {LIBRARY} import {', '.join(used)}"
    if len(line) <= LINE:
        return [line]
    return [f"from {LIBRARY} import (", *_indent(_wrap([f"{n}," for n in used], LINE - 4), 1), ")"]


def _library_names() -> tuple[str, ...]:
    """What the runtime offers to emitted source; a test compares it with the file."""
    modules = ("CausalConv", "Embedding", "LayerNorm", "Linear", "Now", "RMSNorm")
    norms = ("l2_norm", "layer_norm", "rms_norm")
    return (*modules, *norms, "attend", "rope", "rope_table", "shift", "softcap", "softmax")
