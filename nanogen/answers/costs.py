"""What one unit or one equation costs: its share of the parameters, FLOPs and decoding state of a model.

Shares add up: the lines of a unit to the unit, the lines of the model to the numbers of its card.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from nanogen.answers import flops
from nanogen.answers.flops import TRAINING
from nanogen.answers.parameters import count_unit
from nanogen.answers.state import leaves
from nanogen.answers.state import of_unit as state_of_unit
from nanogen.graph import Line, Unit
from nanogen.load import Flops, Load


@frozen
class Cost:
    """Matmul FLOPs are of whole rows and numbers are whole, so that sums are exact."""

    tokens: int  # of a row
    parameters: int = 0
    row: int = 0  # FLOPs of a forward pass over a row
    decoding: int = 0  # FLOPs for the last token of a row
    state: int = 0  # numbers kept for a row, all its tokens seen

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.tokens,
            self.parameters + other.parameters,
            self.row + other.row,
            self.decoding + other.decoding,
            self.state + other.state,
        )

    @property
    def training(self) -> float:
        """FLOPs of training, a token."""
        return TRAINING * self.row / self.tokens


@define(eq=False)
class Costs:
    """Costs under one load, rows of `tokens`; alike units are counted once."""

    tokens: int
    rows: dict[Unit, Flops] = field(factory=dict)
    steps: dict[Unit, Flops] = field(factory=dict)
    memo: dict[Unit, Cost] = field(factory=dict)

    def of_unit(self, unit: Unit) -> Cost:
        if unit not in self.memo:
            self.memo[unit] = Cost(
                self.tokens,
                count_unit(unit),
                flops.of_unit(unit, Load(1, self.tokens), self.rows).matmul,
                flops.of_unit(unit, Load(1, 1, self.tokens - 1), self.steps).matmul,
                sum(leaf.elements(self.tokens) for leaf in leaves(state_of_unit(unit))),
            )
        return self.memo[unit]

    def of_line(self, unit: Unit, line: Line) -> Cost:
        return self.of_unit(evolve(unit, lines=(line,)))
