"""`linear`: the last axis times a matrix."""

from nanogen.language.initial import ZEROS, Law, linear_law
from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.primitives.base import (
    Parameter,
    Primitive,
    Site,
    flag,
    init,
    primitive,
    role,
    size,
    stored,
    want_features,
)


@primitive("linear")
class Linear(Primitive):
    """The last axis mapped to n channels: y = x Wᵀ (+ b), W (n, last)."""

    borrows = True

    n: int = size("channels of the result")
    bias: bool = flag("add a learned offset")
    init: Law = init()
    role: str = role("matrix")
    dtype: str | None = stored()

    def shape(self, x: Value) -> Value:
        want_features("linear", x)
        return x.with_axes(*x.axes[:-1], self.n)

    def parameters(self, x: Value) -> tuple[Parameter, ...]:
        law = self.init if self.init is not None else linear_law(self.n, x.last)
        weight = Parameter("weight", (self.n, x.last), law, self.role, self.dtype, cast=True)
        bias = Parameter("bias", (self.n,), ZEROS, "bias", self.dtype)
        return (weight, bias) if self.bias else (weight,)

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(weights=2 * load.elements(x) * self.n, vector=load.elements(out) if self.bias else 0)

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved(inputs=(0,))

    def state(self, x: Value) -> tuple[State, ...]:
        return ()

    def source(self, site: Site) -> str:
        return f"{site.owner}({site.inputs[0]})"

    def construct(self, x: Value) -> str:
        return f"Linear({x.last}, {self.n}{', bias=True' if self.bias else ''})"

    def borrowed(self, site: Site) -> str:
        bias = f", {site.owner}.bias" if self.bias else ""
        return f"linear({site.inputs[0]}, {site.owner}.weight{bias})"
