"""What a model costs under one load: the numbers by which specs are compared. Knows nothing of how they are shown.

Decoding state is in bfloat16, float32 where a primitive keeps it wide.
"""

from __future__ import annotations

from attrs import frozen

from nanogen.answers.flops import (
    convention_per_token,
    decoding_per_token,
    forward,
    training,
    training_per_token,
)
from nanogen.answers.parameters import count
from nanogen.answers.state import bytes_per_row, bytes_per_token
from nanogen.graph import Graph
from nanogen.load import Load

COUNTS = {  # what two specs may be matched by: a number of a graph at a row length
    "exact": training_per_token,
    "convention": convention_per_token,
    "parameters": lambda graph, tokens: count(graph),
}
LABELS = {
    "exact": "training FLOPs a token, exact",
    "convention": "training FLOPs a token by the convention",
    "parameters": "parameters",
}


@frozen
class Costs:
    """The costs of `rows` rows of `tokens` tokens each."""

    rows: int
    tokens: int
    parameters: int
    training: float  # FLOPs a token, exact
    attention: float  # of these, the matmuls of positions with positions
    convention: int  # FLOPs a token by 6N + 12·layers·width·T
    convention_reached: int  # the same, backward over the turns of loops that gradients reach
    prefill: int  # FLOPs of all rows
    decode: int  # FLOPs of the last token of each row
    state_per_token: int  # bytes that the last token of a row adds
    state: int  # bytes of all rows

    @property
    def attention_share(self) -> float:
        return self.attention / self.training if self.training else 0.0


def costs(graph: Graph, tokens: int, rows: int = 1) -> Costs:
    """Count what a graph costs."""
    load = Load(rows, tokens)
    return Costs(
        rows=rows,
        tokens=tokens,
        parameters=count(graph),
        training=training_per_token(graph, tokens),
        attention=training(graph, load).pairs / (rows * tokens),
        convention=convention_per_token(graph, tokens),
        convention_reached=convention_per_token(graph, tokens, truncated=True),
        prefill=forward(graph, load).matmul,
        decode=rows * decoding_per_token(graph, tokens - 1),
        state_per_token=bytes_per_token(graph, tokens),
        state=rows * bytes_per_row(graph, tokens),
    )
