"""`shift`: the value of an earlier position."""

from nanogen.load import Flops, Load, Saved, State, Value
from nanogen.primitives.base import Parameter, Primitive, Site, primitive, size, want_time


@primitive("shift", past=True)
class Shift(Primitive):
    """The value n positions ago, zeros before the start."""

    n: int = size("positions back")

    def shape(self, x: Value) -> Value:
        want_time("shift", x)
        return x

    def parameters(self, x: Value) -> tuple[Parameter, ...]:
        return ()

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a copy

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def state(self, x: Value) -> tuple[State, ...]:
        return (State("recent", x.axes, self.n, x.dtype),)

    def source(self, site: Site) -> str:
        return f"shift({site.inputs[0]}, {self.n}, {site.past})"
