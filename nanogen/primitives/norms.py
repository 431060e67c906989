"""Norms over the last axis, computed in float32 and given back in their input's dtype."""

from nanogen.language.initial import ONES, ZEROS
from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.primitives.base import (
    Free,
    Parameter,
    Primitive,
    Site,
    flag,
    number,
    primitive,
    role,
    stored,
    want_features,
)


@primitive("rms_norm")
class RmsNorm(Primitive):
    """x / sqrt(mean(x²) + eps), times `offset + gain` where there is a gain."""

    gain: bool = flag("learn a factor a channel")
    offset: float = number("added to the gain, which then starts at zero", default=0, kw_only=True)
    eps: float = number("added under the root", default=2**-23, kw_only=True)
    role: str = role("gain")
    dtype: str | None = stored()

    def shape(self, x: Value) -> Value:
        want_features("rms_norm", x)
        return x

    def parameters(self, x: Value) -> tuple[Parameter, ...]:
        law = ZEROS if self.offset else ONES
        return (Parameter("gain", (x.last,), law, self.role, self.dtype),) if self.gain else ()

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=load.elements(x) * (4 if self.gain else 3))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        normed = load.elements(x) if self.gain else 0  # what the gain multiplies
        return Saved(
            inputs=(0,), wide=load.elements(x) // x.last + normed, widened=True
        )  # and one root a vector

    def state(self, x: Value) -> tuple[State, ...]:
        return ()

    def source(self, site: Site) -> str:
        if self.gain:
            return f"{site.owner}({site.inputs[0]})"
        eps = "" if self.eps == 2**-23 else f", eps={self.eps!r}"
        return f"rms_norm({site.inputs[0]}{eps})"

    def construct(self, x: Value) -> str:
        offset = f", offset={self.offset!r}" if self.offset else ""
        return f"RMSNorm({x.last}, eps={self.eps!r}{offset})" if self.gain else ""


@primitive("layer_norm")
class LayerNorm(Primitive):
    """(x - mean) / sqrt(variance + eps), times a gain and plus a bias where there are."""

    gain: bool = flag("learn a factor a channel")
    bias: bool = flag("learn an offset a channel")
    eps: float = number("added under the root", default=1e-5, kw_only=True)
    role: str = role("gain")
    dtype: str | None = stored()

    def shape(self, x: Value) -> Value:
        want_features("layer_norm", x)
        return x

    def parameters(self, x: Value) -> tuple[Parameter, ...]:
        gain = (Parameter("gain", (x.last,), ONES, self.role, self.dtype),) if self.gain else ()
        bias = (Parameter("bias", (x.last,), ZEROS, "bias", self.dtype),) if self.bias else ()
        return gain + bias

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=load.elements(x) * (5 + self.gain + self.bias))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved(inputs=(0,), wide=2 * load.elements(x) // x.last, widened=True)  # mean and root a vector

    def state(self, x: Value) -> tuple[State, ...]:
        return ()

    def source(self, site: Site) -> str:
        if self.gain or self.bias:
            return f"{site.owner}({site.inputs[0]})"
        return f"layer_norm({site.inputs[0]}, eps={self.eps!r})"

    def construct(self, x: Value) -> str:
        if not (self.gain or self.bias):
            return ""
        return f"LayerNorm({x.last}, gain={self.gain}, bias={self.bias}, eps={self.eps!r})"


@primitive("l2_norm")
class L2Norm(Free):
    """x / sqrt(sum(x²) + eps)."""

    eps: float = number("added under the root", default=1e-12, kw_only=True)

    def shape(self, x: Value) -> Value:
        want_features("l2_norm", x)
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=3 * load.elements(x))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved(inputs=(0,), wide=load.elements(x) // x.last, widened=True)

    def source(self, site: Site) -> str:
        return f"l2_norm({site.inputs[0]}, eps={self.eps!r})"
