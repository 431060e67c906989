"""Calls of modules, stacks and loops as statements: entering, climbing layer by layer, turning."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from nanogen.answers.state import unit_has_branch
from nanogen.emission.spelling import index_text, variable
from nanogen.graph import (
    Apply,
    Call,
    Climb,
    Enter,
    Inside,
    Line,
    Loan,
    Loop,
    Node,
    Reach,
    Read,
    Unit,
)
from nanogen.language.dials import Dial
from nanogen.primitives.lookup import Bare, Embedding

if TYPE_CHECKING:
    from nanogen.emission.unit_source import UnitWriter

_INDEX = re.compile(r"\bi\b")  # the index of a layer: no variable has this name


@define(eq=False)
class CallWriter:
    """One call being written into the unit that `at` writes."""

    at: UnitWriter
    line: Line
    slot: dict[Node, str]
    kept: dict[str, set[int]] = field(factory=dict)  # path -> layers whose value is read later

    def text(self, node: Call) -> str:
        """Write the statements that a call needs; return the expression of its result."""
        match node:
            case Enter():
                return self.entrance(node)
            case Climb():
                return self.ascent(node)
            case Loop():
                return self.turns(node)
        raise AssertionError(node)

    def expression(self, node: Node) -> str:
        return self.at.expression(node, self.line, self.slot)[0]

    def loans(self, unit: Unit) -> list[str]:
        """What a unit is handed of the model's weights."""
        return [self.of_model(loan) for loan in unit.loans if loan.layer is None]

    def of_model(self, loan: Loan) -> str:
        """A module of the model: its own attribute, or what this unit was handed itself."""
        return f"self.{loan.line}" if self.at.unit.kind == "model" else self.at.arguments[loan.name]

    # -- modules

    def entrance(self, node: Enter) -> str:
        args = [self.expression(part) for part in node.inputs]
        args += [*self.loans(node.unit), *self.now(node, node.unit)]
        call = self.callee(node, node.unit, args)
        if node is self.line.node:
            self.at.kept[self.line.name, node.unit.results[0]] = self.at.locals[self.line.name]
        if len(node.unit.results) == 1:
            return call
        names = [self.at.locals[self.line.name]]
        for path in node.unit.results[1:]:
            name = f"{self.line.name}.{path}"
            kept = self.at.locals.get(name) or self.at.free(variable(name))  # it may leave this unit too
            self.at.kept[self.line.name, path] = kept
            names.append(kept)
        self.at.say(f"{', '.join(names)} = {call}", node.value)
        return names[0]

    def callee(self, node: Enter | Loop, unit: Unit, args: list[str]) -> str:
        """A call of the module that owns the weights, or of a function that is handed them."""
        owner, sharing = self.at.owner(node, self.line), self.sharing(node, 0)
        if not owner:
            return f"{self.at.emitter.class_of(unit, self.at.emitter.form_of(node))}({', '.join(args)})"
        return f"{sharing}({', '.join([owner, *args])})" if sharing else f"{owner}({', '.join(args)})"

    def sharing(self, node: Call, place: int) -> str:
        """The function that computes a member of a call with weights of a module which computes something else."""
        emitter, unit = self.at.emitter, node.members[place][1]
        owners = self.at.lending(node, self.line)
        if not owners:
            return ""
        form = emitter.form_of(node)
        lenders = {owner.members[place][1]: emitter.form_of(owner) for owner in owners}
        if all(emitter.same(unit, form, lender, theirs) for lender, theirs in lenders.items()):
            return ""
        return emitter.class_of(unit, evolve(form, held=False, lenders=tuple(lenders)))

    def now(self, node: Node, unit: Unit) -> list[str]:
        if node in self.slot:
            return [f'now["{self.slot[node]}"]']
        return ["now"] if needs_now(unit) else []

    # -- stacks

    def ascent(self, node: Climb) -> str:
        """Write the loop over the layers; its result is the first value that a layer leaves."""
        self.kept = self.read_later(node)
        local = self.carriers(node, node.layers[0])
        for path in self.kept:
            name = self.at.kept[self.line.name, path] = self.at.free(variable(f"{self.line.name}.{path}"))
            self.at.statements.append(f"{name} = {{}}")
        runs = self.runs(node)
        for first, last in runs:
            self.run(node, local, first, last, whole=len(runs) == 1)
        return local[node.layers[0].results[0]]

    def runs(self, node: Climb) -> list[tuple[int, int]]:
        """First and last of the runs of layers that are called alike: by one name, with like arguments and results."""
        runs: list[tuple[int, int]] = []
        before: tuple | None = None
        for index, layer in enumerate(node.layers):
            sharing = self.sharing(node, index)
            lent = [(loan.line, loan.layer is None) for loan in layer.loans]
            called = layer.results, [reach.path for reach in layer.reaches], lent, sharing
            if called == before:
                runs[-1] = (runs[-1][0], index)
            else:
                runs.append((index, index))
            before = called
        return runs

    def read_later(self, node: Climb) -> dict[str, set[int]]:
        """Which values of which layers are read by later ones, or by this unit."""
        found: dict[str, set[int]] = {}
        for layer in node.layers:
            for reach in layer.reaches:
                found.setdefault(reach.path, set()).add(reach.layer)
        for read in self.at.unit.nodes:
            if isinstance(read, Inside) and read.call.name == self.line.name and node is self.line.node:
                every = [i for i, layer in enumerate(node.layers) if read.path in layer.results]
                found.setdefault(read.path, set()).update(every if read.layer is None else [read.layer])
        return found

    def carriers(self, node: Call, unit: Unit) -> dict[str, str]:
        """Set the variables that enter the first layer or turn; what is carried has one of its own.

        The line's own variable carries the result, unless it is also an input of this unit: a part beside
        the first may still read that.
        """
        names = [n for n, _ in unit.inputs][: len(node.inputs)]
        carried = unit.results
        direct = node is self.line.node and (self.line.name not in self.at.arguments or len(names) == 1)
        local: dict[str, str] = {}
        for name, part in zip(names, node.inputs, strict=True):
            text = self.expression(part)
            if name not in carried and isinstance(part, Read):
                local[name] = text
                continue
            own = direct and name == carried[0]
            local[name] = self.at.locals[self.line.name] if own else self.at.free(f"{self.line.name}_{name}")
            if text != local[name]:
                self.at.say(f"{local[name]} = {text}", part.value)
        return local

    def run(self, node: Climb, local: dict[str, str], first: int, last: int, whole: bool) -> None:
        """Write layers `first` to `last`, which are called alike."""
        layer, count = node.layers[first], last - first + 1
        modules = self.at.owner(node, self.line) or self.functions(node)
        args = list(local.values())
        args += [self.reached(node, place, first, last) for place in range(len(layer.reaches))]
        args += [self.lent(node, modules, place, first, last) for place in range(len(layer.loans))]
        if self.at.emitter.form_of(node).told:
            args.append(f'now["{self.slot[node]}"][i]' if node in self.slot else "now")
        carried = [n for n, _ in layer.inputs if n in layer.results]
        extra = [path for path in layer.results if path not in carried]
        targets = [local[n] for n in carried] + [f"{self.at.kept[self.line.name, p]}[i]" for p in extra]
        kept = [
            (p, layers) for p in carried if (layers := self.kept.get(p, set()) & set(range(first, last + 1)))
        ]
        indexed = any(_INDEX.search(text) for text in (*args, *targets)) or bool(kept)
        module, sharing = "layer" if whole else f"{modules}[i]", self.sharing(node, first)
        if whole:
            over = f"for i, layer in enumerate({modules}):" if indexed else f"for layer in {modules}:"
        else:
            over = f"for i in range({first}, {last + 1}):"
        callee, args = (sharing, [module, *args]) if sharing else (module, args)
        call = f"{', '.join(targets)} = {callee}({', '.join(args)})"
        keeping = [_keep(self.at.kept[self.line.name, p], local[p], layers, count) for p, layers in kept]
        if count == 1 and not whole:
            self.at.say(_at_layer(call, first), node.value)
            self.at.statements += [_at_layer(each.split(": ")[-1], first) for each in keeping]
            return
        self.at.statements.append(over)
        self.at.say(call, node.value, depth=1)
        self.at.statements += ["    " + each for each in keeping]

    def reached(self, node: Climb, place: int, first: int, last: int) -> str:
        """What layers read of earlier ones, as their argument."""
        reaches: list[Reach] = [layer.reaches[place] for layer in node.layers[first : last + 1]]
        kept = self.at.kept[self.line.name, reaches[0].path]
        return f"{kept}[{index_text(first, [r.layer for r in reaches])}]"

    def lent(self, node: Climb, modules: str, place: int, first: int, last: int) -> str:
        """The weights that layers are handed, as their argument."""
        loans: list[Loan] = [layer.loans[place] for layer in node.layers[first : last + 1]]
        layers = [loan.layer for loan in loans if loan.layer is not None]
        if not layers:
            return self.of_model(loans[0])
        return f"{modules}[{index_text(first, layers)}].{loans[0].line}"

    def functions(self, climb: Climb) -> str:
        """The layers of a stack that owns nothing, as a list."""
        kinds = [self.at.emitter.class_of(layer, self.at.emitter.form_of(climb)) for layer in climb.layers]
        return f"([{kinds[0]}] * {len(kinds)})" if len(set(kinds)) == 1 else f"[{', '.join(kinds)}]"

    # -- loops

    def turns(self, node: Loop) -> str:
        """Write the turns of a loop; gradients reach the last of them."""
        local = self.carriers(node, node.body)
        count = (
            str(node.times)
            if isinstance(node.times, int)
            else f'now.turns("{node.times.name}", {node.times.default})'
        )
        depth, slot = 1, self.slot.get(node)
        turn = self.at.free("turn")  # the loop around may have a `turn` of its own
        if node.backprop is not None and isinstance(node.times, Dial):
            name = self.at.free(f"{self.line.name}_turns")
            self.at.statements.append(f"{name} = {count}")
            count = name
        args = list(local.values())
        if "turn" in dict(node.body.inputs):
            args.append(f"now.turn({turn})")
        args += self.loans(node.body)
        args += [f'now["{slot}"][{turn}]'] if slot else self.now(node, node.body)
        self.at.statements.append(f"for {turn} in range({count}):")
        if node.backprop is not None:
            first = (
                f"{count} - {node.backprop}" if isinstance(node.times, Dial) else node.times - node.backprop
            )
            self.at.statements.append(f"    with gradients({turn} >= {first}):")
            depth = 2
        targets = ", ".join(local[n] for n in node.body.results)
        self.at.say(f"{targets} = {self.callee(node, node.body, args)}", node.value, depth=depth)
        return local[node.body.results[0]]


def needs_now(unit: Unit) -> bool:
    """Whether a unit reads positions, rotary tables, the dtype, a dial or the past."""
    return unit_has_branch(unit) or any(map(_reads_now, unit.nodes)) or any(map(needs_now, unit.calls))


def _reads_now(node: Node) -> bool:
    if isinstance(node, Loop):
        return isinstance(node.times, Dial) or "turn" in dict(node.body.inputs)
    if not isinstance(node, Apply):
        return False
    return isinstance(node.primitive, Embedding | Bare) or node.primitive.table_of(*node.values) is not None


def _keep(kept: str, value: str, layers: set[int], count: int) -> str:
    """Keep what a layer left, for those that read it later."""
    store = f"{kept}[i] = {value}"
    if len(layers) == 1 and count > 1:
        return f"if i == {next(iter(layers))}: {store}"
    return store


def _at_layer(statement: str, index: int) -> str:
    """A statement of a loop over layers, written for the one layer there is."""
    return _INDEX.sub(str(index), statement)
