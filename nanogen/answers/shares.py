"""What one unit or one equation costs: its share of the parameters, FLOPs and decoding state of a model.

Shares add up: the lines of a unit to the unit, the lines of the model to the numbers of its card.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, evolve, field, frozen

from nanogen.answers import flops
from nanogen.answers.backward import Backward, Gradients, Reached
from nanogen.answers.parameters import count_unit
from nanogen.answers.state import leaves
from nanogen.answers.state import of_unit as state_of_unit
from nanogen.graph import Call, Climb, Graph, Line, Unit, nodes
from nanogen.load import Flops, Load


@frozen
class Share:
    """Matmul FLOPs are of whole rows and numbers are whole, so that sums are exact."""

    tokens: int  # of a row
    parameters: int = 0
    row: int = 0  # FLOPs of a forward pass over a row
    back: int = 0  # FLOPs of its backward pass
    decoding: int = 0  # FLOPs for the last token of a row
    state: int = 0  # bytes kept for a row in bfloat16, all its tokens seen

    def __add__(self, other: Share) -> Share:
        return Share(
            self.tokens,
            self.parameters + other.parameters,
            self.row + other.row,
            self.back + other.back,
            self.decoding + other.decoding,
            self.state + other.state,
        )

    @property
    def training(self) -> float:
        """FLOPs of training, a token."""
        return (self.row + self.back) / self.tokens


@define(eq=False)
class Shares:
    """Shares under one load, rows of `tokens`; alike units that gradients reach alike are counted once.

    A unit has its share where it is called: in the last layer of a stack gradients may reach less.
    """

    tokens: int
    counted: dict[Load, dict[Unit, Flops]] = field(factory=dict)
    memo: dict[Reached, Share] = field(factory=dict)
    backward: Backward = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.backward = Backward(Load(1, self.tokens))

    def of_model(self, graph: Graph) -> Share:
        return self.of_unit(Reached.whole(graph))

    def of_unit(self, reached: Reached) -> Share:
        if reached not in self.memo:
            self.memo[reached] = self._share(reached.unit, self.gradients(reached).flops)
        return self.memo[reached]

    def of_line(self, reached: Reached, line: Line) -> Share:
        return self._share(evolve(reached.unit, lines=(line,)), self.gradients(reached).lines[line.name])

    def gradients(self, reached: Reached) -> Gradients:
        return self.backward.of_unit(reached)

    def _share(self, unit: Unit, back: Flops) -> Share:
        row, step = Load(1, self.tokens), Load(1, 1, self.tokens - 1)
        states = leaves(state_of_unit(unit), step)
        return Share(
            self.tokens,
            count_unit(unit),
            self._matmuls(unit, row),
            back.matmul,
            self._matmuls(unit, step),
            sum(leaf.bytes(self.tokens, 2) for leaf in states),
        )

    def _matmuls(self, unit: Unit, load: Load) -> int:
        return flops.of_unit(unit, load, self.counted.setdefault(load, {})).matmul

    def stacks(self, graph: Graph) -> dict[str, tuple[Reached, ...]]:
        """The layers of every call of a stack, by the path of its equation; inside alike layers it is told once."""
        return dict(self._stacks(Reached.whole(graph), ""))

    def _stacks(self, reached: Reached, prefix: str) -> Iterator[tuple[str, tuple[Reached, ...]]]:
        for line in reached.unit.lines:
            for node in nodes(line.node):
                if not isinstance(node, Call):
                    continue
                path, members = prefix + line.name, self.gradients(reached).members(node)
                if isinstance(node, Climb):
                    yield path, members
                seen: set[Unit] = set()
                for (suffix, unit), inner in zip(node.members, members, strict=True):
                    if unit not in seen:
                        seen.add(unit)
                        yield from self._stacks(inner, f"{path}{suffix}.")
