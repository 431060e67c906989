"""Tables of equations as a spec declares them: modules, stacks, loops, the model, each a set of parsed equations."""

from __future__ import annotations

from attrs import evolve, field, frozen

from nanogen.language.dials import Dial
from nanogen.language.expression import Expression
from nanogen.text.diagnostics import Place
from nanogen.text.locate import KeyPath


@frozen
class Equation:
    """A name and its expression; `path` is where the text stands in the document."""

    name: str
    expression: Expression
    path: KeyPath
    written: bool = True  # as text of the file, so that spans point into it; a number or `--set` has none

    def place(self, part: Expression | None = None) -> Place:
        return Place(self.path, part.span if part is not None and self.written else None)


@frozen
class Rule:
    """One module of a choice, and the layers it claims: a list, a rule in `i`, or the rest (None)."""

    module: str
    layers: Equation | None
    path: KeyPath


@frozen
class Choice:
    """A name that stands for another module in each layer."""

    name: str
    rules: tuple[Rule, ...]
    path: KeyPath
    whole: bool = True  # False where a rule was refused, so that layers may miss it


@frozen
class Table:
    """A module, a stack, a loop or the model: inputs, arguments, and equations by name.

    `count` is the number of layers of a stack, or of turns of a loop.
    """

    kind: str
    name: str
    path: KeyPath
    inputs: tuple[str, ...] = ("x",)
    args: dict[str, Equation] = field(factory=dict)
    equations: dict[str, Equation] = field(factory=dict)
    choices: dict[str, Choice] = field(factory=dict)
    count: Equation | None = None
    backprop: Equation | None = None  # of a loop: gradients reach this many turns
    defaults: dict[str, dict[str, Equation]] = field(factory=dict)  # settings of primitives, of its file
    refused: frozenset[str] = frozenset()  # keys that are there and cannot be read: known, without a meaning

    @property
    def described(self) -> str:
        return "[model]" if self.kind == "model" else f"[{self.kind}.{self.name}]"

    def with_defaults(self, defaults: dict[str, dict[str, Equation]]) -> Table:
        return evolve(self, defaults=defaults)

    @property
    def carries(self) -> bool:
        """Whether what leaves under an input's name enters again: the next layer, or the next turn."""
        return self.kind in ("stack", "loop")

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the equations that leave the table."""
        if self.carries:
            return tuple(name for name in self.inputs if name in self.equations)
        return ("y",) if self.kind == "module" else ("logits",)


@frozen
class DialTable:
    """A dial, and where it stands."""

    path: KeyPath
    dial: Dial
