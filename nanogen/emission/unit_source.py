"""One unit as PyTorch source: a class; a function where it owns nothing, or computes with another's weights."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from nanogen.answers.draws import draws
from nanogen.answers.regions import runs_layers
from nanogen.answers.state import slots
from nanogen.emission.call_source import CallWriter, needs_now
from nanogen.emission.spelling import ATOM, LINE, binding, broken, indent, needed, variable, wrap
from nanogen.graph import (
    Apply,
    Call,
    Climb,
    Enter,
    Inside,
    Line,
    Loop,
    Node,
    Read,
    Unit,
    called,
    nodes,
    owner_of,
    owns,
)
from nanogen.language.reserved import LIBRARY_NAMES, LOCALS
from nanogen.load import Value
from nanogen.primitives import Site

if TYPE_CHECKING:
    from nanogen.emission.source import Emitter

COMMENT_COLUMN = 72
PLACEHOLDER = "\0class\0"


@frozen
class Form:
    """How a unit is written: `held` as a layer in a ModuleList, `told` of the past as other layers are.

    With `lenders` it is a function that computes with the weights of any of these units' modules.
    """

    held: bool = False
    told: bool = False
    lenders: tuple[Unit, ...] = ()


@define(eq=False)
class UnitWriter:
    """One unit being written."""

    emitter: Emitter
    unit: Unit
    form: Form
    statements: list[str] = field(factory=list)
    taken: set[str] = field(factory=set)  # names that another variable may not have
    arguments: dict[str, str] = field(factory=dict)  # name of an input, a reach or a loan -> its variable
    locals: dict[str, str] = field(factory=dict)  # name of a line -> its variable
    kept: dict[tuple[str, str], str] = field(factory=dict)  # line, path inside its call -> variable
    seam: int | None = None  # statements of a model up to its last stack or loop

    def __attrs_post_init__(self) -> None:
        """Name the variables as the spec does, save where that would hide what the source calls.

        A result that replaces an input has a name of its own where others leave with it, or are computed after it.
        """
        unit = self.unit
        handed = [n for n, _ in unit.inputs] + [r.name for r in unit.reaches]
        handed += [loan.name for loan in unit.loans]
        inputs, lines = {n for n, _ in unit.inputs}, [line.name for line in unit.lines]
        hidden = {*LOCALS, "enumerate", "range", "list", *LIBRARY_NAMES, self.me}
        self.taken = {*hidden, *inputs, *lines}
        plain = {n: variable(n) for n in [*handed, *lines]}
        self.arguments = {n: n if n in inputs and n not in hidden else self.free(plain[n]) for n in handed}
        apart = sum(n in inputs for n in lines) > 1 or any(n in inputs for n in lines[:-1])
        for name in lines:
            if name in inputs:
                self.locals[name] = self.free(f"{name}_out") if apart else self.arguments[name]
            elif "." in name or name in hidden:
                self.locals[name] = self.free(plain[name])
            else:
                self.locals[name] = name

    @property
    def me(self) -> str:
        """What the weights belong to."""
        return "weights" if self.form.lenders else "self"

    def free(self, name: str) -> str:
        """A variable that nothing else in this unit means."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def text(self) -> str:
        self.write_below()
        forward = self.forward()
        if self.form.lenders or not (self.unit.kind == "model" or self.unit.owning or self.form.held):
            weights = ["weights"] if self.form.lenders else []
            head = f"def {PLACEHOLDER}({', '.join([*weights, self.signature()])}):"
            return "\n".join([head, f"    {self.docstring()}", *indent(forward, 1)])
        init = ["def __init__(self):", "    super().__init__()", *indent(self.attributes(), 1)]
        method = [f"def forward(self, {self.signature()}):", *indent(forward, 1)]
        if self.seam is not None:
            method = self.halves(forward[: self.seam], forward[self.seam :])
        head = [f"class {PLACEHOLDER}(nn.Module):", f"    {self.docstring()}", ""]
        return "\n".join([*head, *indent(init, 1), "", *indent(method, 1)])

    def halves(self, layers: list[str], logits: list[str]) -> list[str]:
        """The model as two methods, so that what follows its layers can be compiled together with a loss."""
        reads = _read_later(layers, logits)
        left = ", ".join(reads) if len(reads) != 1 else f"({reads[0]},)"
        return [
            f"def forward(self, {self.signature()}):",
            "    return self._logits(*self._layers(tokens, now))",
            "",
            f"def _layers(self, {self.signature()}):",
            *indent([*layers, f"return {left}"], 1),
            "",
            f"def _logits({', '.join(['self', *reads])}):",
            *indent(logits, 1),
        ]

    def write_below(self) -> None:
        """Write the classes and functions of what it calls, in the order of the file."""
        calls = (n for n in self.unit.nodes if isinstance(n, Call) and n.weights is None)
        for call in calls if not self.form.lenders else ():
            for unit in called(call):
                self.emitter.class_of(unit, self.emitter.form_of(call))

    def docstring(self) -> str:
        unit = self.unit
        if unit.kind == "model":
            return f'"""[model]  tokens (B T) -> logits ({unit.value("logits")})"""'
        inputs = ", ".join(f"{variable(n)} ({v.described})" for n, v in unit.passed)
        results = ", ".join(f"{variable(n)} ({unit.value(n)})" for n in unit.results)
        what = f"[{unit.kind}.{unit.name}]"
        modules = "".join(f"  {n} = {m}" for n, m in unit.modules.items())
        lent = "  with the weights of another call" if self.form.lenders else ""
        return f'"""{what}{modules}  {inputs} -> {results}{lent}"""'

    def signature(self) -> str:
        if self.unit.kind == "model":
            return "tokens, now=None"
        return ", ".join(
            [*self.arguments.values(), *(["now"] if self.form.told or needs_now(self.unit) else [])]
        )

    def attributes(self) -> list[str]:
        """What the class owns, in the order of the file."""
        found = []
        for line in self.unit.lines:
            owner = owner_of(line)
            if isinstance(owner, Apply):
                found.append(f"self.{line.name} = {owner.primitive.construct(*owner.values)}")
            elif isinstance(owner, Enter | Loop):
                inner = owner.unit if isinstance(owner, Enter) else owner.body
                found.append(f"self.{line.name} = {self.emitter.class_of(inner, Form())}()")
            elif isinstance(owner, Climb):
                found += self.module_list(line.name, owner)
        return found

    def module_list(self, name: str, climb: Climb) -> list[str]:
        kinds = [self.emitter.class_of(layer, self.emitter.form_of(climb)) for layer in climb.layers]
        if len(set(kinds)) == 1:
            return [f"self.{name} = nn.ModuleList([{kinds[0]}() for _ in range({len(kinds)})])"]
        rows = wrap([f"{kind}()," for kind in kinds], LINE - 16)
        return [f"self.{name} = nn.ModuleList([", *indent(rows, 1), "])"]

    # -- forward

    def forward(self) -> list[str]:
        self.statements = []
        if self.unit.kind == "model":
            self.begin()
        for line in self.unit.lines:
            text, _ = self.expression(line.node, line, slots(line))
            local = self.locals[line.name]
            if text != local or isinstance(line.node, Read | Apply):
                self.say(f"{local} = {text}", line.node.value)
            if self.unit.kind == "model" and any(map(runs_layers, nodes(line.node))):
                self.seam = len(self.statements)
        results = ", ".join(self.locals[name] for name in self.unit.results)
        return [*self.statements, f"return {results}"]

    def begin(self) -> None:
        """The model makes what all its parts read: positions, dtype and rotary tables."""
        start = "now or Now.start(tokens)"
        self.statements.append(f"now = ({start}).keyed()" if draws(self.unit) else f"now = {start}")
        for table, name in self.emitter.tables.items():
            call = f"rope_table(now.positions, {table.channels}, {table.settings})"
            self.statements.append(f'now.tables["{name}"] = {call}')
        if any(n == "positions" for n, _ in self.unit.passed):
            self.say("positions = now.positions.expand(tokens.shape)", dict(self.unit.inputs)["positions"])

    def reading(self, name: str) -> str:
        """The variable that a reader of a name means: an input as it entered."""
        return self.arguments.get(name) or self.locals[name]

    def say(self, statement: str, value: Value, depth: int = 0) -> None:
        *above, text = indent(broken(statement, LINE - 8), depth)
        pad = max(2, COMMENT_COLUMN - 8 - len(text))
        self.statements += [*above, f"{text}{' ' * pad}# {value.described}"]

    def expression(self, node: Node, line: Line, slot: dict[Node, str]) -> tuple[str, int]:
        """Return the source of a node, and how tightly its text binds."""
        match node:
            case Read(name=name):
                return self.reading(name), ATOM
            case Apply():
                return self.application(node, line, slot)
            case Inside():
                return self.inside(node), ATOM
            case Call():
                return CallWriter(self, line, slot).text(node), ATOM
        raise AssertionError(node)

    def application(self, node: Apply, line: Line, slot: dict[Node, str]) -> tuple[str, int]:
        primitive = node.primitive
        texts = []
        for place, part in enumerate(node.inputs):
            text, tightness = self.expression(part, line, slot)
            texts.append(f"({text})" if tightness < needed(node, place) else text)
        table = primitive.table_of(*node.values)
        site = Site(
            inputs=tuple(texts),
            values=node.values,
            out=node.value,
            owner=self.owner(node, line),
            past=f'now["{slot[node]}"]' if node in slot else "",
            table=f'now.tables["{self.emitter.tables[table]}"]' if table else "",
        )
        differs = not all(map(self.constructs(node), self.lending(node, line)))
        return (primitive.borrowed(site) if differs else primitive.source(site)), binding(node)

    def constructs(self, node: Apply):
        """Tells of another call whether it makes the very module that this one computes with."""
        own = node.primitive.construct(*node.values)
        return lambda other: other.primitive.construct(*other.values) == own

    def inside(self, node: Inside) -> str:
        """A value inside a call: handed out beside its result, or kept layer by layer."""
        kept = self.kept[node.call.name, node.path]
        if not isinstance(self.unit.line(node.call.name).node, Climb):
            return kept
        if node.layer is not None:
            return f"{kept}[{node.layer}]"
        return f"torch.stack(list({kept}.values()), dim={2 if node.value.timed else 0})"

    # -- weights

    def owner(self, node: Apply | Call, line: Line) -> str:
        """The module whose weights a node computes with; empty where it needs none."""
        if node.weights is not None:
            name = node.weights.name
            return self.arguments[name] if node.weights.lent else f"{self.me}.{name}"
        return f"{self.me}.{line.name}" if owns(node) else ""

    def lending(self, node: Apply | Call, line: Line) -> list:
        """The calls that own the weights which a node computes with, where it does not itself."""
        if node.weights is not None and node.weights.lent:
            return self.emitter.lending.loans[self.unit, node.weights.name]
        if node.weights is not None:
            return [owner_of(unit.line(node.weights.name)) for unit in self.form.lenders or (self.unit,)]
        return [owner_of(unit.line(line.name)) for unit in self.form.lenders] if owns(node) else []


def _read_later(first: list[str], second: list[str]) -> list[str]:
    """The variables of some statements that later ones read, in the order in which they were first set."""
    names = [n for n in ast.walk(ast.parse("\n".join(first))) if isinstance(n, ast.Name)]
    names.sort(key=lambda n: (n.lineno, n.col_offset))
    known = dict.fromkeys(["tokens", *(n.id for n in names if isinstance(n.ctx, ast.Store))])
    read = {n.id for n in ast.walk(ast.parse("\n".join(second))) if isinstance(n, ast.Name)}
    return [name for name in known if name in read]
