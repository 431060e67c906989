"""`rope`: channel pairs turned by an angle that grows with the position (RoFormer, arXiv 2104.09864)."""

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import (
    Free,
    Site,
    Table,
    Variant,
    choice,
    number,
    primitive,
    variant,
    want_time,
)
from nanogen.text.diagnostics import Reject


@primitive("rope")
class Rope(Free):
    """Turn pair j of the first channels by position · base^(-2j / channels) · direction."""

    base: float = number("the slowest pair turns once in about base · 2π positions")
    fraction: float = number("share of the last axis that is turned", default=1, kw_only=True)
    pairs: str = choice("channel j goes with j + half, or with its neighbour", "halves", "neighbours")
    direction: int = number("1, or -1 to turn the other way", default=1, kw_only=True)
    scaling: Variant | None = variant(
        "how slow pairs are slowed further, to read longer texts than training had",
        llama3=("factor", "low", "high", "original"),
        linear=("factor",),
    )
    table: str = choice("precision of the cosines and sines", "float32", "bfloat16")

    def shape(self, x: Value) -> Value:
        want_time("rope", x)
        if not 0 < self.fraction <= 1:
            raise Reject(
                "NG306", f"a fraction of {self.fraction} of the channels", "use 0 < fraction <= 1", "fraction"
            )
        if self.direction not in (1, -1):
            raise Reject(
                "NG306", f"a direction is 1 or -1, found {self.direction}", "1 is usual", "direction"
            )
        if self.base <= 0:
            raise Reject("NG306", f"a base is above 0, found {self.base}", "10000 is usual", "base")
        self._check_scaling()
        if self._turned(x) % 2 or not self._turned(x):
            raise Reject(
                "NG307", f"{self._turned(x)} channels do not form pairs", "turn an even number of channels", 0
            )
        return x

    def _check_scaling(self) -> None:
        numbers = dict(self.scaling.numbers) if self.scaling else {}
        for name, found in numbers.items():
            if found <= 0:
                help = "a factor of 8 reads texts 8 times as long"
                raise Reject("NG306", f"`{name}` is above 0, found {found}", help, "scaling")
        if "low" in numbers and numbers["low"] >= numbers["high"]:
            message = f"`low` is below `high`, found {numbers['low']} and {numbers['high']}"
            raise Reject("NG306", message, "1 and 4 are usual", "scaling")

    def _turned(self, x: Value) -> int:
        return int(x.last * self.fraction + 1e-6)  # 100 * 0.58 is a little less than 58

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=3 * load.elements(x.with_axes(*x.axes[:-1], self._turned(x))))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()  # the tables, which are there already

    def source(self, site: Site) -> str:
        pairs = "" if self.pairs == "halves" else ', pairs="neighbours"'
        return f"rope({site.inputs[0]}, {site.table}{pairs})"

    def table_of(self, x: Value) -> Table:
        return Table(self._turned(x), self.base, self.direction, self.table, self.scaling)
