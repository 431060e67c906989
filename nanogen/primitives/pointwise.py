"""Element by element: activations, softmax, soft caps, and the arithmetic of equations."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import PRIMITIVES, Free, Site, number, primitive, want_features, want_numbers
from nanogen.text.diagnostics import Reject


@frozen
class Pointwise(Free):
    """A function of one value, element by element (softmax: along the last axis)."""

    text: ClassVar[str]
    keeps: ClassVar[str]  # "input" or "output": what backward reads
    cost: ClassVar[int]  # FLOPs an element

    def shape(self, x: Value) -> Value:
        want_numbers(self.name, x)
        if self.name == "softmax":
            want_features("softmax", x)
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=self.cost * load.elements(x))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        if self.keeps == "input":
            return Saved(inputs=(0,))
        return Saved(output=True, widened=self.name == "softmax")

    def source(self, site: Site) -> str:
        return self.text.format(x=site.inputs[0])


def _pointwise(name: str, text: str, keeps: str, cost: int, doc: str) -> None:
    fields = {"name": name, "text": text, "keeps": keeps, "cost": cost, "inputs": ("x",), "__doc__": doc}
    fields["postfix"] = text.startswith("{x}")
    PRIMITIVES[name] = type(name.title().replace("_", ""), (Pointwise,), fields)


_pointwise("silu", "F.silu({x})", "input", 4, "x · sigmoid(x)")
_pointwise("relu", "F.relu({x})", "output", 1, "max(x, 0)")
_pointwise("square", "{x}.square()", "input", 1, "x²")
_pointwise("sigmoid", "torch.sigmoid({x})", "output", 3, "1 / (1 + exp(-x))")
_pointwise("tanh", "torch.tanh({x})", "output", 4, "hyperbolic tangent")
_pointwise("exp", "torch.exp({x})", "output", 1, "e to the x")
_pointwise("log", "torch.log({x})", "input", 1, "natural logarithm")
_pointwise("sqrt", "torch.sqrt({x})", "output", 1, "square root")
_pointwise("softplus", "F.softplus({x})", "input", 3, "log(1 + exp(x))")
_pointwise("gelu", "F.gelu({x})", "input", 5, "x times the normal distribution function of x")
_pointwise("gelu_tanh", 'F.gelu({x}, approximate="tanh")', "input", 8, "gelu by its tanh approximation")
_pointwise("softmax", "softmax({x})", "output", 4, "exp(x) over its sum along the last axis")


@primitive("softcap")
class Softcap(Free):
    """cap · tanh(x / cap): x, held within ±cap."""

    cap: float = number("the bound")

    def shape(self, x: Value) -> Value:
        want_numbers("softcap", x)
        if self.cap <= 0:
            raise Reject(
                "NG306", f"a cap is above 0, found {self.cap}", "logits are often capped at 15", "cap"
            )
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=6 * load.elements(x))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved.more(x, load.elements(x))  # the tangent

    def source(self, site: Site) -> str:
        return f"softcap({site.inputs[0]}, {self.cap!r})"


@primitive("float32")
class Float32(Free):
    """The same numbers, wide, and so is what follows from them."""

    postfix = True

    def shape(self, x: Value) -> Value:
        want_numbers("float32", x)
        return Value(x.axes, "float32", x.timed)

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a cast

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"{site.inputs[0]}.float()"


@frozen
class Arithmetic(Free):
    """`+ - * / **` of two values, or of a value and a number, with numpy's broadcasting."""

    name = "arithmetic"
    inputs = ("a", "b")
    operator: str
    number: float | None = None  # the other side, where it is a number
    number_first: bool = False

    def shape(self, *inputs: Value) -> Value:
        for place, x in enumerate(inputs):
            want_numbers(self.operator, x, place)
        wide = "float32" if any(x.dtype == "float32" for x in inputs) else "run"
        axes = broadcast(*(x.axes for x in inputs))
        return Value(axes, wide, any(x.timed for x in inputs))

    def flops(self, load: Load, out: Value, *inputs: Value) -> Flops:
        return Flops(vector=load.elements(out))

    def saved(self, load: Load, out: Value, *inputs: Value) -> Saved:
        if self.operator in "+-" or (self.number is not None and self._linear):
            return Saved()
        if self.operator == "/" and self.number is not None:
            return Saved.more(out, load.elements(out))  # 1 / x, then times the number
        exponential = self.operator == "**" and (self.number is None or self.number_first)
        return Saved(inputs=tuple(range(len(inputs))), output=exponential)

    @property
    def _linear(self) -> bool:
        return self.operator == "*" or (self.operator == "/" and not self.number_first)

    def source(self, site: Site) -> str:
        parts = [t + self.suffix(place, site.out, site.values) for place, t in enumerate(site.inputs)]
        if self.number is not None:
            loose = self.number < 0 and self.number_first and self.operator == "**"  # -2 ** x is -(2 ** x)
            parts.insert(0 if self.number_first else 1, f"({self.number!r})" if loose else repr(self.number))
        return f"{parts[0]} {self.operator} {parts[1]}"

    def suffix(self, place: int, out: Value, values: tuple[Value, ...]) -> str:
        """What stands behind an input's text: the axes that broadcasting leaves out, and a cast.

        Batch and time stand before the feature axes in a tensor. PyTorch takes no account of the dtype of a
        tensor without axes: beside a float32 scalar the other side is widened by hand.
        """
        value, missing = values[place], len(out.axes) - len(values[place].axes)
        beside_scalar = any(v.dtype == "float32" and not _axes(v) for v in values)
        cast = ".float()" if beside_scalar and value.dtype != "float32" else ""
        if not (value.timed and missing):
            return cast
        return f"[:, :, {', '.join(['None'] * missing)}{', :' if value.axes else ''}]{cast}"


@frozen
class Negate(Free):
    """The other sign."""

    name = "negate"
    postfix = True
    binding = 3

    def shape(self, x: Value) -> Value:
        want_numbers("-", x)
        return x

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops(vector=load.elements(x))

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"-{site.inputs[0]}"


def _axes(value: Value) -> int:
    """Axes of the tensor, batch and time included."""
    return len(value.axes) + 2 * value.timed


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Numpy's rule on feature axes; raises Reject."""
    rank = max(len(s) for s in shapes)
    out = []
    for place in range(-rank, 0):
        extents = {s[place] for s in shapes if len(s) >= -place} - {1}
        if len(extents) > 1:
            first, second = (" ".join(map(str, s)) or "scalar" for s in shapes)
            message = f"axes {first} and {second} do not broadcast"
            raise Reject("NG310", message, "axes are aligned from the last; each is equal, 1, or absent")
        out.append(extents.pop() if extents else 1)
    return tuple(out)
