"""Random specs that are valid by construction: shapes are tracked while equations are written.

A new kind of equation is one function with `@equation`; it reads names through its `Body`, and adds its own. A new
kind of table is one function that writes a `Body` and gives its text. Every equation is read by what follows, or
joined into the result of its table.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeVar

from attrs import define, field, frozen
from hypothesis import strategies as st

T = TypeVar("T")
Shape = tuple[int, ...]
LARGEST = 64  # numbers of a value at one position
POINTWISE = (
    "silu({})", "relu({})", "square(tanh({}))", "sigmoid({})", "tanh({})", "exp(-square({}))", "log(square({}) + 1)",
    "sqrt(square({}) + 1)", "softplus({})", "gelu({})", "gelu_tanh({})", "softmax({})", "softcap({}, 3)",
    "float32({})", "-{}", "2 * {}", "{} / 3", "1 / (square({}) + 1)", "l2_norm({})", "rms_norm({})", "layer_norm({})",
)  # fmt: skip


@frozen
class Sizes:
    """The dims of a spec, and how its choices are drawn."""

    draw: Callable[..., Any]
    width: int
    vocab: int
    context: int
    depth: int

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


@frozen
class Callee:
    """A module of the spec, from (width) to (width)."""

    name: str
    inputs: tuple[str, ...]
    arguments: tuple[str, ...]  # each a size
    owning: bool


@define
class Body:
    """The equations of one table being written."""

    sizes: Sizes
    shapes: dict[str, Shape]  # of names that may be read
    ids: tuple[str, ...] = ()  # `tokens`, `positions`, where they are at hand
    facts: tuple[str, ...] = ()  # names of numbers that may stand for a small size
    callees: tuple[Callee, ...] = ()
    lines: dict[str, str] = field(factory=dict)
    unread: dict[str, None] = field(init=False)
    owning: bool = False

    def __attrs_post_init__(self) -> None:
        self.unread = dict.fromkeys((*self.shapes, *self.ids))

    def read(self, fits: Callable[[Shape], bool] = lambda shape: True) -> tuple[str, Shape] | None:
        """A name whose shape fits, the latest most likely; None where there is none."""
        fitting = [name for name, shape in self.shapes.items() if fits(shape)]
        if not fitting:
            return None
        name = fitting[-1] if self.sizes.draw(st.booleans()) else self.sizes.pick(fitting)
        self.unread.pop(name, None)
        return name, self.shapes[name]

    def add(self, text: str, shape: Shape, *, owning: bool = False) -> str:
        name = f"e{len(self.lines)}"
        self.lines[name] = text
        self.shapes[name] = shape
        self.unread[name] = None
        self.owning = self.owning or owning
        return name

    def number(self, low: int, high: int) -> str:
        """A small number, or a fact that stands for one."""
        if self.facts and self.sizes.draw(st.booleans()):
            return self.sizes.pick(self.facts)
        return str(self.sizes.whole(low, high))

    def look_up(self, ids: str, channels: int) -> None:
        self.unread.pop(ids, None)
        rows = {"tokens": self.sizes.vocab, "positions": self.sizes.context}[ids]
        self.add(f"embedding({ids}, {rows}, {channels})", (channels,), owning=True)

    def result(self, name: str, width: int, text: str = "{}") -> None:
        """Join what nobody has read into one equation of `width` channels."""
        for ids in [n for n in self.ids if n in self.unread]:
            self.look_up(ids, 4)
        parts = [f"flatten({n})" for n in self.unread or [next(reversed(self.shapes))]]
        joined = f"concat({', '.join(parts)})" if len(parts) > 1 else parts[0]
        self.lines["joined"] = f"linear(rms_norm({joined}), {width})"
        self.lines[name] = text.format("joined")
        self.owning = True

    def text(self) -> str:
        return "".join(f'{name} = "{text}"\n' for name, text in self.lines.items())


EQUATIONS: list[Callable[[Body], None]] = []


def equation(write: Callable[[Body], None]) -> Callable[[Body], None]:
    """A kind of equation; it adds nothing where no name has a shape that it needs."""
    EQUATIONS.append(write)
    return write


def linear_of(body: Body, name: str, channels: int) -> str:
    bias = body.sizes.pick(["", ", bias=true"])
    return body.add(f"linear({name}, {channels}{bias})", (*body.shapes[name][:-1], channels), owning=True)


@equation
def linear(body: Body) -> None:
    if found := body.read(lambda s: prod(s[:-1]) <= 8):
        linear_of(body, found[0], body.sizes.whole(1, 8))


@equation
def pointwise(body: Body) -> None:
    if found := body.read():
        body.add(body.sizes.pick(POINTWISE).format(found[0]), found[1])


@equation
def learned_norm(body: Body) -> None:
    if found := body.read():
        norm = body.sizes.pick(
            [
                "rms_norm({}, gain=true)",
                "rms_norm({}, gain=true, offset=1)",
                "layer_norm({}, gain=true, bias=true)",
                "layer_norm({}, bias=true)",
            ]
        )
        body.add(norm.format(found[0]), found[1], owning=True)


@equation
def convolution(body: Body) -> None:
    if found := body.read():
        bias = body.sizes.pick(["", ", bias=true"])
        body.add(f"causal_conv({found[0]}, {body.number(1, 5)}{bias})", found[1], owning=True)


@equation
def shift(body: Body) -> None:
    if found := body.read():
        body.add(f"shift({found[0]}, {body.number(1, 5)})", found[1])


@equation
def axes(body: Body) -> None:
    """Split, flattened, repeated, picked."""
    found = body.read()
    assert found is not None
    name, shape = found
    parts = [n for n in (2, 3, 4) if shape[-1] % n == 0]
    forms = {f"split({name}, {n})": (*shape[:-1], n, shape[-1] // n) for n in parts if len(shape) < 4}
    forms[f"flatten({name})"] = (prod(shape),)
    if prod(shape) * 2 <= LARGEST and len(shape) < 4:
        forms[f"repeat({name}, 2)"] = (2, *shape)
        forms[f"{name}[..., None]"] = (*shape, 1)
    if shape[-1] > 1:
        forms[f"{name}[..., 1:]"] = (*shape[:-1], shape[-1] - 1)
    if len(shape) > 1:
        forms[f"{name}[-1]"] = shape[1:]
    text = body.sizes.pick(forms)
    body.add(text, forms[text])


@equation
def joined(body: Body) -> None:
    """Two values side by side, or every channel with every channel."""
    first = body.read(lambda s: len(s) <= 2)
    if first is None:
        return
    (a, left), outer = first, body.sizes.draw(st.booleans())
    second = body.read(
        lambda s: len(s) <= 2 and (prod(s) * prod(left) <= LARGEST if outer else s[:-1] == left[:-1])
    )
    if second is None:
        body.unread[a] = None
    elif outer:
        body.add(f"outer({a}, {second[0]})", left + second[1])
    else:
        body.add(f"concat({a}, {second[0]})", (*left[:-1], left[-1] + second[1][-1]))


@equation
def arithmetic(body: Body) -> None:
    """Two values of which one may broadcast, or a value and a parameter."""
    first = body.read()
    assert first is not None
    name, shape = first
    operator = body.sizes.pick("+-*")
    if body.sizes.draw(st.booleans()):
        size = body.sizes.pick([(), shape[-1:], shape])
        law = body.sizes.pick(["normal(0.5)", "uniform(-1, 1)", "1"])
        learned = body.add(f"parameter({', '.join(map(str, (*size, f'init={law}')))})", size, owning=True)
        del body.shapes[learned]  # it has no time: read here, and by none else
        body.unread.pop(learned, None)
        body.add(f"{name} {operator} {learned}", shape)
        return
    second = body.read(lambda s: shape[len(shape) - len(s) :] == s)
    assert second is not None
    body.add(f"{second[0]} {operator} {name}", shape)


@equation
def turned(body: Body) -> None:
    if found := body.read(lambda s: s[-1] % 2 == 0):
        setting = body.sizes.pick(["", ", direction=-1, table=bfloat16", ", pairs=neighbours", ", base=500"])
        base = "" if "base" in setting else ", 10000"
        body.add(f"rope({found[0]}{base}{setting})", found[1])


@equation
def looked_up(body: Body) -> None:
    if body.ids:
        body.look_up(body.sizes.pick(body.ids), body.sizes.whole(1, 8))


@equation
def attention(body: Body) -> None:
    found = body.read(lambda s: len(s) == 1)
    if found is None:
        return
    groups, share, channels, wide = (
        body.sizes.whole(1, 2), body.sizes.whole(1, 3), body.sizes.pick([2, 4]), body.sizes.whole(1, 4)
    )  # fmt: skip
    heads = groups * share
    q, k, v = (linear_of(body, found[0], n) for n in (heads * channels, groups * channels, groups * wide))
    for name in (q, k, v):
        body.unread.pop(name, None)
    turn = body.sizes.pick(["{}", "rope({}, 10000)"])
    queries, keys = (f"rms_norm({turn.format(f'split({n}, {c})')})" for n, c in ((q, heads), (k, groups)))
    window = f", window={body.number(1, 9)}"
    window = body.sizes.pick([window, window, "", ", window=none", ", scale=0.3"])
    body.add(f"attend({queries}, {keys}, split({v}, {groups}){window})", (heads, wide))


@equation
def call(body: Body) -> None:
    able = [c for c in body.callees if {*c.inputs[1:]} <= {*body.ids}]
    found = body.read(lambda s: s == (body.sizes.width,)) if able else None
    if found is None:
        return
    module = body.sizes.pick(able)
    for name in module.inputs[1:]:
        body.unread.pop(name, None)
    body.add(called(body, module, found[0]), (body.sizes.width,), owning=module.owning)


def called(body: Body, module: Callee, name: str) -> str:
    settings = [f"{argument}={body.number(1, 6)}" for argument in module.arguments]
    return f"{module.name}({', '.join((name, *module.inputs[1:], *settings))})"


def fill(body: Body, most: int) -> None:
    for _ in range(body.sizes.whole(2, most)):
        body.sizes.pick(EQUATIONS)(body)


def module(sizes: Sizes, name: str, ids: tuple[str, ...], before: tuple[Callee, ...]) -> tuple[Callee, str]:
    """A module of (width) to (width), which may call those before it."""
    arguments = sizes.pick([(), ("size",)])
    body = Body(sizes, {"x": (sizes.width,)}, ids, arguments, before)
    fill(body, 6)
    body.result("y", sizes.width)
    inputs = ("x", *ids)
    listed = ", ".join(f'"{n}"' for n in inputs)
    args = "args = { size = 3 }\n" if arguments else ""
    return Callee(
        name, inputs, arguments, body.owning
    ), f"[module.{name}]\ninputs = [{listed}]\n{args}{body.text()}"


def stack(sizes: Sizes, name: str, modules: tuple[Callee, ...]) -> tuple[str, str]:
    """A stack with or without a choice, facts, a second carried value; its text and a call of `x`."""
    carried, constant = sizes.pick([("x",), ("x", "s")]), sizes.pick([(), ("x0",)])
    body = Body(sizes, dict.fromkeys((*carried, *constant), (sizes.width,)), ("tokens",), (), modules)
    lines = []
    if sizes.draw(st.booleans()):
        body.facts = ("fact",)
        lines.append(
            sizes.pick(['fact = "1 + i"', 'fact = "2 if i % 2 else 5"', 'fact = "max(depth - i, 1)"'])
        )
    if len(modules) > 1 and sizes.draw(st.booleans()):
        rule = sizes.pick(['"i == 0"', '"i % 2 == 1"', "[0]"])
        lines.append(f'pick = {{ {modules[-1].name} = {rule}, {modules[0].name} = "rest" }}')
        chosen = Callee("pick", modules[0].inputs, (), True)
        body.unread.pop("x", None)
        body.add(called(body, chosen, "x"), (sizes.width,), owning=True)
    fill(body, 5)
    body.result("x", sizes.width, "x + {}")
    if "s" in carried:
        body.lines["s"] = sizes.pick(["0.5 * s + joined", "joined", "linear(s, width)"])
    inputs = (*carried, *constant, "tokens")
    listed = ", ".join(f'"{n}"' for n in inputs)
    facts = "".join(f"{line}\n" for line in lines)
    text = f'[stack.{name}]\ninputs = [{listed}]\nlayers = "{sizes.pick(["depth", "1", "3"])}"\n{facts}{body.text()}'
    values = ["x"] * len(inputs[:-1])
    return text, f"{name}({', '.join((*values, 'tokens'))})"


@st.composite
def specs(draw: Callable[..., Any]) -> str:
    """The text of a spec that compiles."""
    width = draw(st.sampled_from([4, 6, 8, 12]))
    sizes = Sizes(draw, width, draw(st.integers(5, 13)), draw(st.integers(6, 20)), draw(st.integers(1, 4)))
    modules: tuple[Callee, ...] = ()
    tables = []
    given = sizes.pick([(), ("tokens",)])
    for number in range(sizes.whole(0, 3)):
        made, text = module(sizes, f"m{number}", given, modules)
        modules, tables = (*modules, made), [*tables, text]
    body = Body(sizes, {}, sizes.pick([("tokens",), ("tokens", "positions")]), (), modules)
    first = body.add(f"embedding(tokens, {sizes.vocab}, width)", (width,), owning=True)
    body.unread.pop("tokens", None)
    fill(body, 3)
    for number in range(sizes.whole(0, 2)):
        text, told = stack(sizes, f"t{number}", modules)
        tables.append(text)
        source = body.read(lambda s: s == (width,)) or (first, (width,))
        body.add(told.replace("x", source[0]), (width,), owning=True)
    fill(body, 2)
    body.result("logits", sizes.vocab, sizes.pick(["{}", "softcap({}, 15)", "float32({})"]))
    dims = {"vocab": sizes.vocab, "context": sizes.context, "width": width, "depth": sizes.depth}
    head = 'kind = "model"\nlanguage = 1\n[dims]\n' + "".join(f"{n} = {v}\n" for n, v in dims.items())
    return "\n".join([head, *tables, "[model]\n" + body.text()])
