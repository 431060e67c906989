"""Feature axes: split, joined, repeated, picked. None computes anything, save `outer`."""

from math import prod

from attrs import frozen

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import Free, Site, primitive, size, want_features, want_numbers
from nanogen.text.diagnostics import Reject


def divisors(number: int, near: int) -> str:
    """Offer the divisors of `number` that are closest to `near`, as help."""
    whole = [d for d in range(1, min(number, 4096) + 1) if number % d == 0]
    close = sorted(sorted(whole, key=lambda d: (abs(d - near), d))[:3])
    return ", ".join(map(str, close[:-1])) + (f" or {close[-1]}" if len(close) > 1 else str(close[-1]))


@primitive("split")
class Split(Free):
    """The last axis as n axes of last / n: heads."""

    postfix = True

    n: int = size("parts")

    def shape(self, x: Value) -> Value:
        want_features("split", x)
        if x.last % self.n:
            message = f"{x.last} channels do not split into {self.n} equal parts"
            raise Reject("NG301", message, f"{divisors(x.last, self.n)} would divide them", "n")
        return x.with_axes(*x.axes[:-1], self.n, x.last // self.n)

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a view

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"{site.inputs[0]}.unflatten(-1, ({self.n}, {site.out.last}))"


@primitive("flatten")
class Flatten(Free):
    """All feature axes as one."""

    postfix = True

    def shape(self, x: Value) -> Value:
        want_features("flatten", x)
        return x.with_axes(prod(x.axes))

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a view

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"{site.inputs[0]}.flatten({2 if site.values[0].timed else 0})"


@primitive("outer", inputs=("a", "b"))
class Outer(Free):
    """Every channel of a times every channel of b: axes of a, then axes of b."""

    postfix = True
    binding = 2

    def shape(self, a: Value, b: Value) -> Value:
        want_features("outer", a, 0)
        want_features("outer", b, 1)
        wide = "float32" if "float32" in (a.dtype, b.dtype) else "run"
        return Value(a.axes + b.axes, wide, a.timed or b.timed)

    def flops(self, load: Load, out: Value, a: Value, b: Value) -> Flops:
        return Flops(vector=load.elements(out))

    def saved(self, load: Load, out: Value, a: Value, b: Value) -> Saved:
        return Saved(inputs=(0, 1))

    def source(self, site: Site) -> str:
        (a, b), (left, right) = site.values, site.inputs
        if len(a.axes) == len(b.axes) == 1:
            return f"{left}[..., :, None] * {right}[..., None, :]"
        behind = ", ".join(["None"] * len(b.axes))
        before = ", ".join([":, :"] * b.timed + ["None"] * len(a.axes))
        return f"{left}[..., {behind}] * {right}[{before}]"


@primitive("concat", inputs=("a", "b", "..."))
class Concat(Free):
    """Values joined along the last axis; their other axes are equal."""

    def shape(self, *parts: Value) -> Value:
        for place, part in enumerate(parts):
            want_features("concat", part, place)
            if part.axes[:-1] != parts[0].axes[:-1]:
                help = "`flatten` both, or `split` them alike"
                raise Reject("NG308", f"{parts[0]} and {part} differ before the last axis", help, place)
            if part.timed != parts[0].timed:
                help = "add the parameter to a value first"
                raise Reject("NG308", "a parameter and a value with time do not join", help, place)
        wide = "float32" if any(p.dtype == "float32" for p in parts) else "run"
        return Value((*parts[0].axes[:-1], sum(p.last for p in parts)), wide, parts[0].timed)

    def flops(self, load: Load, out: Value, *parts: Value) -> Flops:
        return Flops()  # a copy

    def saved(self, load: Load, out: Value, *parts: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"torch.cat(({', '.join(site.inputs)}), dim=-1)"


@primitive("repeat")
class Repeat(Free):
    """n copies on a new first feature axis."""

    postfix = True

    n: int = size("copies")

    def shape(self, x: Value) -> Value:
        want_features("repeat", x)
        return x.with_axes(self.n, *x.axes)

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a view

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        x, axes = site.values[0], len(site.values[0].axes)
        before = "-1, -1, " if x.timed else ""
        return f"{site.inputs[0]}.unsqueeze({-axes - 1}).expand({before}{self.n}{', -1' * axes})"


@frozen
class Pick(Free):
    """A subscript on the feature axes: each item a slice, an index, or a new axis."""

    name = "subscript"
    postfix = True

    items: tuple[slice | int | None, ...]

    def shape(self, x: Value) -> Value:
        want_numbers("subscript", x)
        return x.with_axes(*_picked(x.axes, self.items))

    def flops(self, load: Load, out: Value, x: Value) -> Flops:
        return Flops()  # a view

    def saved(self, load: Load, out: Value, x: Value) -> Saved:
        return Saved()

    def source(self, site: Site) -> str:
        return f"{site.inputs[0]}[..., {', '.join(map(_item_text, self.items))}]"


def _picked(axes: tuple[int, ...], items: tuple) -> list[int]:
    """Sizes after a subscript whose items were spread over all axes."""
    left, out = list(axes), []
    for place, item in enumerate(items):
        if item is None:
            out.append(1)
            continue
        extent = left.pop(0)
        if isinstance(item, int):
            if not -extent <= item < extent:
                raise Reject(
                    "NG309",
                    f"index {item} is outside an axis of {extent}",
                    f"indices go from 0 to {extent - 1}",
                    place,
                )
            continue
        start, stop, _ = item.indices(extent)
        beyond = any(bound is not None and abs(bound) > extent for bound in (item.start, item.stop))
        if stop <= start or beyond:
            message = f"`{_item_text(item)}` is not within an axis of {extent}"
            raise Reject("NG309", message, f"a slice lies between 0 and {extent}, and holds something", place)
        out.append(stop - start)
    return out + left


def _item_text(item: slice | int | None) -> str:
    if not isinstance(item, slice):
        return str(item)
    start, stop = ("" if bound is None else str(bound) for bound in (item.start, item.stop))
    return f"{start}:{stop}"
