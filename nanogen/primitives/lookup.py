"""`embedding` and `parameter`: values that are looked up, not computed."""

from nanogen.language.initial import Law
from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.primitives.base import (
    Parameter,
    Primitive,
    Site,
    init,
    primitive,
    role,
    size,
    sizes,
    stored,
    want_law,
)
from nanogen.text.diagnostics import Reject


@primitive("embedding", inputs=("ids",))
class Embedding(Primitive):
    """The row of a table (rows, n) for each id."""

    borrows = True

    rows: int = size("rows of the table")
    n: int = size("channels of the result")
    init: Law = init()
    role: str = role("embedding")
    dtype: str | None = stored()

    def shape(self, ids: Value) -> Value:
        if ids.dtype != "ids":
            help = "look up `tokens` or `positions`"
            raise Reject("NG304", f"`embedding` looks up ids, found values of shape {ids}", help, 0)
        if self.rows < ids.ids:
            help = f"a table has a row for each id: {ids.ids:,} or more"
            raise Reject("NG306", f"a table of {self.rows:,} rows for {ids.ids:,} ids", help, "rows")
        return Value((self.n,), timed=ids.timed)

    def parameters(self, ids: Value) -> tuple[Parameter, ...]:
        law = self.init if self.init is not None else ("normal", 1.0)
        return (Parameter("weight", (self.rows, self.n), law, self.role, self.dtype),)

    def flops(self, load: Load, out: Value, ids: Value) -> Flops:
        return Flops()  # a lookup, no arithmetic

    def saved(self, load: Load, out: Value, ids: Value) -> Saved:
        return Saved(inputs=(0,))

    def state(self, ids: Value) -> tuple[State, ...]:
        return ()

    def source(self, site: Site) -> str:
        return f"{site.owner}({site.inputs[0]}, now.dtype)"

    def construct(self, ids: Value) -> str:
        return f"Embedding({self.rows}, {self.n})"

    def borrowed(self, site: Site) -> str:
        return f"embedding({site.inputs[0]}, {site.owner}.weight, now.dtype)"


@primitive("parameter", inputs=())
class Bare(Primitive):
    """A learned tensor of the given axes, the same at every position; no axes make a scalar."""

    axes: tuple[int, ...] = sizes("the axes")
    init: Law = init("the initial law, which a parameter must say")
    role: str = role("")
    dtype: str | None = stored()

    def shape(self) -> Value:
        if self.init is None:
            raise Reject(
                "NG305", "this `parameter` does not say how it starts", "add `init=zeros`, or another law"
            )
        want_law(self.init, self.axes)
        return Value(self.axes, timed=False)

    def parameters(self) -> tuple[Parameter, ...]:
        group = self.role or {0: "scalar", 2: "matrix"}.get(len(self.axes), "vector")
        return (Parameter("", self.axes, self.init, group, self.dtype, cast=True),)

    def flops(self, load: Load, out: Value) -> Flops:
        return Flops()  # it is there already

    def saved(self, load: Load, out: Value) -> Saved:
        return Saved()

    def state(self) -> tuple[State, ...]:
        return ()

    def source(self, site: Site) -> str:
        return f"{site.owner}.to(now.dtype)"

    def construct(self) -> str:
        axes = ", ".join(map(str, self.axes))
        return f"nn.Parameter(torch.empty({axes or '()'}))"
