"""What one unit or one equation costs: its share of the parameters, FLOPs and decoding state of a model.

Shares add up: the lines of a unit to the unit, the lines of the model to the numbers of its card. A unit is counted with
gradients in all that it gives; only the lines of the model know what is read of it, so that they may be less.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from nanogen.answers import flops
from nanogen.answers.backward import TIMES, backward_by_line
from nanogen.answers.parameters import count_unit
from nanogen.answers.state import leaves
from nanogen.answers.state import of_unit as state_of_unit
from nanogen.graph import Graph, Line, Unit
from nanogen.load import Flops, Load


@frozen
class Share:
    """Matmul FLOPs are of whole rows and numbers are whole, so that sums are exact."""

    tokens: int  # of a row
    parameters: int = 0
    row: int = 0  # FLOPs of a forward pass over a row
    backward: int = 0  # FLOPs of the backward pass over a row
    decoding: int = 0  # FLOPs for the last token of a row
    state: int = 0  # bytes kept for a row in bfloat16, all its tokens seen

    def __add__(self, other: Share) -> Share:
        return Share(
            self.tokens,
            self.parameters + other.parameters,
            self.row + other.row,
            self.backward + other.backward,
            self.decoding + other.decoding,
            self.state + other.state,
        )

    @property
    def training(self) -> float:
        """FLOPs of training, a token."""
        return (self.row + self.backward) / self.tokens


@define(eq=False)
class Shares:
    """Shares under one load, rows of `tokens`; alike units are counted once."""

    tokens: int
    counted: dict[Load, dict[Unit, Flops]] = field(factory=dict)
    memo: dict[Unit, Share] = field(factory=dict)

    def of_unit(self, unit: Unit) -> Share:
        if unit not in self.memo:
            row, step = Load(1, self.tokens), Load(1, 1, self.tokens - 1)
            states = leaves(state_of_unit(unit), step)
            self.memo[unit] = Share(
                self.tokens,
                count_unit(unit),
                self.matmuls(unit, row),
                TIMES * self.matmuls(unit, evolve(row, reached=True)),
                self.matmuls(unit, step),
                sum(leaf.bytes(self.tokens, 2) for leaf in states),
            )
        return self.memo[unit]

    def matmuls(self, unit: Unit, load: Load) -> int:
        return flops.of_unit(unit, load, self.counted.setdefault(load, {})).matmul

    def of_line(self, unit: Unit, line: Line) -> Share:
        return self.of_unit(evolve(unit, lines=(line,)))

    def of_model(self, graph: Graph) -> dict[str, Share]:
        """Shares of the model's lines, in which nothing has a gradient that the logits do not depend on."""
        backward = backward_by_line(graph, Load(1, self.tokens))
        return {
            line.name: evolve(
                self.of_line(graph.model, line), backward=backward.get(line.name, Flops()).matmul
            )
            for line in graph.model.lines
        }
