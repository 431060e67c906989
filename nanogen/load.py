"""What a model is asked to do, and what that costs: loads, FLOPs, saved activations, decoding state.

The records that primitives' rules speak in. Knows nothing of graphs, files or torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Protocol

from attrs import field, frozen

from nanogen.language.dials import Dial


@frozen
class Value:
    """What a name stands for in the graph: feature axes, with batch and time implied.

    `dtype` is "run" (the run's choice), "float32" (wide whatever the run says) or "ids". A value that is
    not `timed` is the same for every row and position: a parameter, or arithmetic on parameters alone.
    """

    axes: tuple[int, ...]
    dtype: str = "run"
    timed: bool = True
    ids: int = 0  # of ids: how many there are, from 0

    def __str__(self) -> str:
        return " ".join((["B", "T"] if self.timed else []) + [str(a) for a in self.axes]) or "scalar"

    @property
    def described(self) -> str:
        """The shape, and what kind of numbers it holds where that is not the run's."""
        if self.dtype == "ids":
            return "B T ids" if self.timed else "id"
        return f"{self} float32" if self.dtype == "float32" else str(self)

    @property
    def last(self) -> int:
        return self.axes[-1]

    @property
    def width(self) -> int:
        """Numbers a position: the product of the feature axes."""
        return prod(self.axes)

    def with_axes(self, *axes: int) -> Value:
        return Value(tuple(axes), self.dtype, self.timed)


class KeptPairs(Protocol):
    """What attention keeps of a row: numbers a query head, by dtype, and positions of keys and of values."""

    @property
    def run(self) -> int: ...
    @property
    def wide(self) -> int: ...
    @property
    def keys(self) -> int: ...


class Attention(Protocol):
    """How a device attends; `runtime.attention_memory.Blocks` is one."""

    def kept(self, tokens: int, window: int | None, narrow: bool) -> KeptPairs | None: ...


@frozen
class Load:
    """`rows` sequences, each with `tokens` new positions after `past` earlier ones.

    Training is Load(rows, tokens), prefill Load(1, n), a decoding step Load(rows, 1, past).
    `square` counts attention as the 6N + 12LHQT convention does: every query against all `tokens` keys, or
    the window's, its own position apart; otherwise exactly, each query against the keys that it sees.
    `dials` are the dials that do not stand at their defaults. `reached` leaves out the turns of a loop that
    gradients do not reach. Where memory is counted, `attention` is how the device attends, if it keeps more for that
    than a kernel does, and `narrow` says that the run's dtype is less than float32.
    """

    rows: int = 1
    tokens: int = 1
    past: int = 0
    square: bool = False
    dials: Mapping[str, int] = field(factory=dict, hash=False)
    reached: bool = False
    attention: Attention | None = field(default=None, eq=False, repr=False)
    narrow: bool = field(default=False, eq=False, repr=False)

    def dial(self, dial: Dial) -> int:
        return self.dials.get(dial.name, dial.default)

    def elements(self, value: Value) -> int:
        """Numbers in a value under this load."""
        return value.width * (self.rows * self.tokens if value.timed else 1)

    def pairs(self, window: int | None) -> int:
        """Query-key pairs in all rows; `window` = keys a query sees at most, its own included."""
        if self.square:
            # the convention counts earlier keys only: a window of 513 is 512 and the query itself
            seen = self.tokens if window is None else min(window - 1, self.tokens)
            return self.rows * self.tokens * seen
        first, last = self.past + 1, self.past + self.tokens  # keys of the first and of the last query
        if window is None or last <= window:
            return self.rows * (first + last) * self.tokens // 2
        growing = max(0, window - first)  # queries that see less than the window
        return self.rows * ((2 * first + growing - 1) * growing // 2 + (self.tokens - growing) * window)


@frozen
class Flops:
    """Forward FLOPs: a multiply and an add are two. Training is three times the matmuls (forward, and the
    gradients of weights and of inputs)."""

    weights: int = 0  # matmuls and convolutions of weights with values
    pairs: int = 0  # matmuls of positions with positions: attention
    vector: int = 0  # everything else, element by element

    @property
    def matmul(self) -> int:
        return self.weights + self.pairs

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.weights + other.weights, self.pairs + other.pairs, self.vector + other.vector)

    def times(self, count: int) -> Flops:
        return Flops(self.weights * count, self.pairs * count, self.vector * count)


@frozen
class Saved:
    """What a primitive keeps for backward: which inputs, whether its output, and elements besides.

    A value that several primitives keep is stored once, so inputs and outputs are named, not counted.
    """

    inputs: tuple[int, ...] = ()
    output: bool = False
    run: int = 0  # further elements in the run's dtype
    wide: int = 0  # further elements in float32
    widened: bool = False  # inputs and output are kept as float32 copies, where they are narrower

    @classmethod
    def more(cls, like: Value, elements: int) -> Saved:
        """Further elements alone, in the dtype of a value."""
        return cls(wide=elements) if like.dtype == "float32" else cls(run=elements)


@frozen
class State:
    """What decoding keeps for one row: `axes` a position, for the last `positions` (None: every one seen)."""

    name: str
    axes: tuple[int, ...]
    positions: int | None
    dtype: str = "run"  # as `Value.dtype`

    def elements(self, context: int) -> int:
        """Numbers kept a row, once `context` positions were seen."""
        kept = context if self.positions is None else min(self.positions, context)
        return kept * prod(self.axes)

    def bytes(self, context: int, run_bytes: int) -> int:
        """Bytes kept a row, where the run's dtype has `run_bytes`."""
        return self.elements(context) * (4 if self.dtype == "float32" else run_bytes)
