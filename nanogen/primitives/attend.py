"""`attend`: each position mixes the values of the positions it sees, its own included."""

from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.primitives.axes import divisors
from nanogen.primitives.base import (
    Parameter,
    Primitive,
    Site,
    number,
    primitive,
    value,
    want_numbers,
    want_time,
    window,
)
from nanogen.text.diagnostics import Reject

PART = 256  # queries that meet the keys of their windows at once, as `runtime/row_attention.py` has it


@primitive("attend", inputs=("q", "k", "v"), past=True)
class Attend(Primitive):
    """Softmax of scale · q·k over the keys seen, times v; q (H, d), k (G, d), v (G, e) give (H, e).

    Head h reads group h // (H / G). Always causal. `sinks` (H) are logits that join each head's softmax and
    take no value.
    """

    window: int | None = window("keys a query sees at most, its own included")
    scale: float | None = number("factor on the scores; unsaid, d ** -0.5", default=None, kw_only=True)
    softcap: float | None = number("bound c on the scores: c · tanh(scores / c)", default=None, kw_only=True)
    sinks: int | None = value("a logit a head that joins its softmax")

    def shape(self, q: Value, k: Value, v: Value, sinks: Value | None = None) -> Value:
        for place, x in enumerate((q, k, v)):
            want_time("attend", x, place)
            if len(x.axes) != 2:
                help = "split the channels into heads: `split(q, heads)`"
                raise Reject("NG311", f"`attend` takes heads and channels, found {x}", help, place)
        if k.last != q.last:
            message = f"queries have {q.last} channels a head and keys {k.last}"
            raise Reject("NG312", message, "a query meets keys of its own width", 1)
        if v.axes[0] != k.axes[0]:
            message = f"{k.axes[0]} heads of keys and {v.axes[0]} of values"
            raise Reject("NG312", message, "each key head has a value head", 2)
        if q.axes[0] % k.axes[0]:
            message = f"{q.axes[0]} query heads do not share {k.axes[0]} key heads evenly"
            raise Reject("NG312", message, f"{divisors(q.axes[0], k.axes[0])} key heads would", 1)
        if self.softcap is not None and self.softcap <= 0:
            message = f"a cap is above 0, found {self.softcap}"
            raise Reject("NG306", message, "scores are often capped at 50", "softcap")
        if sinks is not None:
            self._check_sinks(sinks, q.axes[0])
        return q.with_axes(q.axes[0], v.last)

    def _check_sinks(self, sinks: Value, heads: int) -> None:
        want_numbers("sinks", sinks, self.sinks)
        if sinks.timed:
            help = f"a parameter has none: `parameter({heads}, init=zeros)`"
            raise Reject("NG304", "sinks are the same at every position, and this has time", help, self.sinks)
        if sinks.axes != (heads,):
            message = f"sinks of shape {sinks} for {heads} query heads"
            raise Reject("NG312", message, "each query head has a sink", self.sinks)

    def parameters(self, *inputs: Value) -> tuple[Parameter, ...]:
        return ()

    def flops(self, load: Load, out: Value, q: Value, k: Value, v: Value, *sinks: Value) -> Flops:
        pairs = load.pairs(self.window)
        heads = q.axes[0]
        return Flops(
            pairs=2 * pairs * heads * (q.last + v.last),
            vector=(5 if self.softcap is None else 11) * pairs * heads,
        )

    def saved(self, load: Load, out: Value, q: Value, k: Value, v: Value, *sinks: Value) -> Saved:
        parts = load.rows * out.width * load.tokens if self.in_parts(load) else 0  # beside the whole
        sums = load.rows * load.tokens * q.axes[0]  # of exponentials
        return Saved(inputs=(0, 1, 2), output=True, run=parts, wide=sums)

    def in_parts(self, load: Load) -> bool:
        """Whether a row is longer than its windows, and than the queries that are taken at once."""
        return self.window is not None and load.tokens > max(self.window, PART)

    def state(self, q: Value, k: Value, v: Value, *sinks: Value) -> tuple[State, ...]:
        if self.window == 1:
            return ()
        return State("k", k.axes, self.window, q.dtype), State("v", v.axes, self.window, q.dtype)

    def source(self, site: Site) -> str:
        settings = [f"window={self.window}"] if self.window is not None else []
        settings += [f"scale={self.scale!r}"] if self.scale is not None else []
        settings += [f"softcap={self.softcap!r}"] if self.softcap is not None else []
        settings += [f"sinks={site.inputs[self.sinks]}"] if self.sinks is not None else []
        return f"attend({', '.join((*site.inputs[:3], site.past, *settings))})"
