"""`noise` and `dropout`: random numbers, the same ones wherever seed, row, position and place are the same."""

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import Free, Site, number, primitive, want_numbers
from nanogen.text.diagnostics import Reject


def _want_positions(name: str, x: Value) -> None:
    want_numbers(name, x)
    if not x.timed:
        message = f"`{name}` draws anew at each position, and this value is the same at every one"
        raise Reject("NG304", message, "give it a value that comes from `tokens`", 0)


@primitive("noise", draws=True)
class Noise(Free):
    """Draws of normal(0, std) in x's shape; with a cut, none is further out than cut · std."""

    std: float = number("standard deviation")
    cut: float | None = number("standard deviations at which the normal is cut", default=None, kw_only=True)

    def shape(self, x: Value) -> Value:
        _want_positions("noise", x)
        if self.std < 0:
            message = f"a standard deviation is at least 0, found {self.std}"
            raise Reject("NG306", message, "write it without the sign", "std")
        if self.cut is not None and self.cut <= 0:
            message = f"a cut is above 0, found {self.cut}"
            raise Reject("NG306", message, "the cut counts standard deviations: `cut=3`", "cut")
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=20 * load.elements(x))  # the inverse of the normal distribution function

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        cut = "" if self.cut is None else f", cut={self.cut!r}"
        return f"noise({site.inputs[0]}, {self.std!r}, {site.past}{cut})"


@primitive("dropout", draws=True)
class Dropout(Free):
    """In training, zero with chance p and x / (1 - p) otherwise; else x."""

    p: float = number("the chance to be zero")

    def shape(self, x: Value) -> Value:
        _want_positions("dropout", x)
        if not 0 <= self.p < 1:
            raise Reject("NG306", f"a chance of {self.p} to be zero", "use 0 <= p < 1", "p")
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=2 * load.elements(x))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved.more(x, load.elements(x))  # which elements stay

    def source(self, site: Site) -> str:
        return f"dropout({site.inputs[0]}, {self.p!r}, {site.past})"
