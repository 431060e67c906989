"""`causal_conv`: each channel filtered over its own recent past."""

from nanogen.language.initial import ZEROS, Law, conv_law
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
    want_law,
    want_time,
)


@primitive("causal_conv", past=True)
class CausalConv(Primitive):
    """y_t = Σ_j w_j x_{t - kernel + 1 + j}, a channel at a time; the last tap is now."""

    kernel: int = size("taps")
    bias: bool = flag("add a learned offset")
    init: Law = init()
    role: str = role("conv")
    dtype: str | None = stored()

    def shape(self, x: Value) -> Value:
        want_time("causal_conv", x)
        want_law(self.init, (x.width, 1, self.kernel))
        return x

    def parameters(self, x: Value) -> tuple[Parameter, ...]:
        law = self.init if self.init is not None else conv_law(self.kernel)
        weight = Parameter("weight", (x.width, 1, self.kernel), law, self.role, self.dtype, cast=True)
        bias = Parameter("bias", (x.width,), ZEROS, "bias", self.dtype)
        return (weight, bias) if self.bias else (weight,)

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        extra = load.elements(out) if self.bias else 0
        return Flops(weights=2 * self.kernel * load.elements(x), vector=extra)

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        if self.kernel == 1:
            return Saved(inputs=(0,))
        # the taps read one padded copy of the input
        return Saved.more(x, load.rows * (load.tokens + self.kernel - 1) * x.width)

    def state(self, x: Value) -> tuple[State, ...]:
        return (State("recent", x.axes, self.kernel - 1, x.dtype),) if self.kernel > 1 else ()

    def source(self, site: Site) -> str:
        return f"{site.owner}({site.inputs[0]}, {site.past})"

    def construct(self, x: Value) -> str:
        return f"CausalConv({x.width}, {self.kernel}{', bias=True' if self.bias else ''})"
