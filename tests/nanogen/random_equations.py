"""Kinds of random equations, valid by construction: shapes are tracked while equations are written.

A new kind is one function with `@equation`; it reads names through its `Body`, and adds its own. Every equation is
read by what follows, or joined into the result of its table. Calls, and what knows of them, are in `random_calls.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from attrs import define, field, frozen
from hypothesis import strategies as st

Shape = tuple[int, ...]
LARGEST = 64  # numbers of a value at one position
MOST_LINES = 25  # of a table, with all that it calls written out as often as it runs
POINTWISE = (
    "silu({})", "relu({})", "square(tanh({}))", "sigmoid({})", "tanh({})", "exp(-square({}))", "log(square({}) + 1)",
    "sqrt(square({}) + 1)", "softplus({})", "gelu({})", "gelu_tanh({})", "softmax({})", "softcap({}, 3)",
    "-{}", "2 * {}", "{} / 3", "1 / (square({}) + 1)", "l2_norm({})", "rms_norm({})", "layer_norm({})",
    "noise({0}, 0.5) * {0}", "noise({0}, std=0.3, cut=2) + {0}", "dropout({}, 0.5)",
)  # fmt: skip
WIDE = "float32({})"
ROPES = (
    "", ", direction=-1, table=bfloat16", ", pairs=neighbours", ", base=500", ", scaling=linear(factor=2)",
    ", scaling=llama3(factor=8, low=1, high=4, original=8), base=100",
)  # fmt: skip


@frozen
class Sizes:
    """The dims of a spec, and how its choices are drawn."""

    draw: Callable[..., Any]
    width: int
    vocab: int
    context: int
    depth: int
    wide: bool  # values may be float32; a loop gives back what it was given

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


@frozen
class Callee:
    """A table of the spec that can be called, from values of (width) to (width)."""

    name: str
    values: int  # inputs of (width)
    ids: tuple[str, ...]
    owning: bool
    lines: int  # it has, with all that it calls written out as often as it runs
    arguments: tuple[str, ...] = ()  # each a size
    shaping: bool = False  # arguments are sizes of parameters
    inside: dict[str, Shape] = field(factory=dict)  # what can be read in it
    layers: tuple[str, int] | None = None  # of a stack: as written, and how many


@frozen
class Called:
    """An equation that is nothing but a call."""

    callee: Callee
    settings: str


@define
class Body:
    """The equations of one table being written."""

    sizes: Sizes
    shapes: dict[str, Shape]  # of names that may be read
    ids: dict[str, int] = field(
        factory=dict
    )  # `tokens`, `positions`, where they are at hand: how many there are
    facts: tuple[str, ...] = ()  # names of numbers that may stand for a small size
    callees: tuple[Callee, ...] = ()
    layers: str = ""  # of the stack that this is a layer of
    carried: tuple[str, ...] = ()
    turns: int = 0  # of the loop that this is a turn of, at most
    inner: bool = True  # not [model], whose first equation others may borrow from
    lines: dict[str, str] = field(factory=dict)
    calls: dict[str, Called] = field(factory=dict)
    linears: dict[str, tuple[int, int, str]] = field(factory=dict)  # channels read and given, and the bias
    unread: dict[str, None] = field(init=False)
    owning: bool = False
    shaping: bool = False  # a fact is the size of a parameter
    written_out: int = 0

    def __attrs_post_init__(self) -> None:
        self.unread = dict.fromkeys((*self.shapes, *self.ids))

    @property
    def next_name(self) -> str:
        return f"e{len(self.lines)}"

    @property
    def inside(self) -> dict[str, Shape]:
        """Equations, and what is inside of calls."""
        found = {name: shape for name, shape in self.shapes.items() if name in self.lines}
        for name, call in self.calls.items():
            found |= self.within(name, call.callee)
        return found

    def within(self, name: str, callee: Callee) -> dict[str, Shape]:
        """What is inside of a call: of a stack, for all of its layers."""
        before = () if callee.layers is None else (callee.layers[1],)
        return {
            f"{name}.{path}": (*before, *shape)
            for path, shape in callee.inside.items()
            if prod((*before, *shape)) <= LARGEST and len((*before, *shape)) < 4
        }

    def read(self, fits: Callable[[Shape], bool] = lambda shape: True) -> tuple[str, Shape] | None:
        """A name whose shape fits, the latest most likely; None where there is none."""
        fitting = [name for name, shape in self.shapes.items() if fits(shape)]
        if not fitting:
            return None
        name = fitting[-1] if self.sizes.chance() else self.sizes.pick(fitting)
        self.unread.pop(name, None)
        return name, self.shapes[name]

    def add(self, text: str, shape: Shape, *, owning: bool = False) -> str:
        name = self.next_name
        self.lines[name] = text
        self.shapes[name] = shape
        self.unread[name] = None
        self.owning = self.owning or owning
        return name

    def number(self, low: int, high: int, *, shaping: bool = False) -> str:
        """A small number, or a fact that stands for one."""
        if self.facts and self.sizes.chance():
            self.shaping = self.shaping or shaping
            return self.sizes.pick(self.facts)
        return str(self.sizes.whole(low, high))

    def parameter(self, size: Shape, law: str) -> str:
        """A parameter: it has no time, so that it is read where it is made, and by none else."""
        learned = self.add(f"parameter({', '.join(map(str, (*size, f'init={law}')))})", size, owning=True)
        return self.without_time(learned)

    def without_time(self, name: str) -> str:
        del self.shapes[name]
        self.unread.pop(name, None)
        return name

    def look_up(self, ids: str, channels: int) -> None:
        self.unread.pop(ids, None)
        self.add(f"embedding({ids}, {self.ids[ids]}, {channels})", (channels,), owning=True)

    def result(self, name: str, width: int, text: str = "{}", weights: str = "") -> None:
        """Join what nobody has read into one equation of `width` channels."""
        for ids in [n for n in self.ids if n in self.unread]:
            self.look_up(ids, 4)
        parts = [f"flatten({n})" for n in self.unread or [next(reversed(self.shapes))]]
        joined = f"concat({', '.join(parts)})" if len(parts) > 1 else parts[0]
        self.lines["joined"] = f"linear(rms_norm({joined}), {self.sizes.width if weights else width})"
        self.shapes["joined"] = (width,)
        self.owning = True
        if weights:
            self.lines["tied"] = f"linear(joined, {width}, weights={weights})"
        self.lines[name] = text.format("tied" if weights else "joined")

    def text(self) -> str:
        return "".join(f'{name} = "{text}"\n' for name, text in self.lines.items())


EQUATIONS: list[Callable[[Body], None]] = []
LATE: list[Callable[[Body], None]] = []


def equation(write: Callable[[Body], None]) -> Callable[[Body], None]:
    """A kind of equation; it adds nothing where no name has a shape that it needs."""
    EQUATIONS.append(write)
    return write


def late(write: Callable[[Body], None]) -> Callable[[Body], None]:
    """A kind that needs others before it: it is tried once more at the end of a table."""
    LATE.append(write)
    return equation(write)


def linear_of(body: Body, name: str, channels: int) -> str:
    bias = body.sizes.pick(["", ", bias=true"])
    given = body.shapes[name]
    made = body.add(f"linear({name}, {channels}{bias})", (*given[:-1], channels), owning=True)
    body.linears[made] = (given[-1], channels, bias)
    return made


@equation
def linear(body: Body) -> None:
    if found := body.read(lambda s: prod(s[:-1]) <= 8):
        linear_of(body, found[0], body.sizes.whole(1, 8))


@equation
def pointwise(body: Body) -> None:
    if found := body.read():
        forms = (*POINTWISE, WIDE) if body.sizes.wide else POINTWISE
        body.add(body.sizes.pick(forms).format(found[0]), found[1])


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
        body.add(f"causal_conv({found[0]}, {body.number(1, 5, shaping=True)}{bias})", found[1], owning=True)


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
    last = prod(shape[-1:])
    parts = [n for n in (2, 3, 4) if last % n == 0]
    forms: dict[str, Shape] = {
        f"split({name}, {n})": (*shape[:-1], n, last // n) for n in parts if len(shape) < 4
    }
    forms[f"flatten({name})"] = (prod(shape),)
    if prod(shape) * 2 <= LARGEST and len(shape) < 4:
        forms[f"repeat({name}, 2)"] = (2, *shape)
        forms[f"{name}[..., None]"] = (*shape, 1)
    if last > 1:
        forms[f"{name}[..., 1:]"] = (*shape[:-1], last - 1)
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
    (a, left), outer = first, body.sizes.chance()
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
    if body.sizes.chance():
        size = body.sizes.pick([(), shape[-1:], shape])
        law = body.sizes.pick(["normal(0.5)", "uniform(-1, 1)", "1"])
        body.add(f"{name} {operator} {body.parameter(size, law)}", shape)
        return
    second = body.read(lambda s: shape[len(shape) - len(s) :] == s)
    assert second is not None
    body.add(f"{second[0]} {operator} {name}", shape)


@equation
def turned(body: Body) -> None:
    if found := body.read(lambda s: s[-1] % 2 == 0):
        setting = body.sizes.pick(ROPES)
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
    near = f", window={body.number(1, 9)}"
    settings = body.sizes.pick([near, near, "", ", window=none", ", scale=0.3"])
    settings += body.sizes.pick(["", "", ", softcap=2.5", ", softcap=1"])
    if body.sizes.pick([False, False, True]):
        settings += f", sinks={body.parameter((heads,), 'normal(1)')}"
    body.add(f"attend({queries}, {keys}, split({v}, {groups}){settings})", (heads, wide))


@equation
def einsum(body: Body) -> None:
    """Two or three values, or a value and a parameter: axes of one size may share a letter, some are summed."""
    sizes: dict[str, int] = {}
    found = [body.read(lambda s: len(s) <= 3) for _ in range(body.sizes.whole(1, 3))]
    names = [name for name, _ in filter(None, found)]
    written = [letters(body, sizes, shape) for _, shape in filter(None, found)]
    if not names or prod(sizes.values()) > 4 * LARGEST:
        body.unread |= dict.fromkeys(names)
        return
    if body.sizes.chance():
        size = (body.sizes.pick(sizes.values()), body.sizes.whole(1, 4)) if sizes else (2, 3)
        written.append(letters(body, sizes, size))
        names.append(body.parameter(size, "normal(0.5)"))
    result: list[str] = body.sizes.draw(st.permutations(list(sizes)))[: body.sizes.whole(1, 3)]
    while prod(sizes[n] for n in result) > LARGEST:
        result.pop()
    pattern = f"{','.join(written)}->{''.join(result)}"
    body.add(f"0.3 * einsum('{pattern}', {', '.join(names)})", tuple(sizes[n] for n in result))


def letters(body: Body, sizes: dict[str, int], shape: Shape) -> str:
    """A letter for each axis, new or one of this size; `sizes` learns the new ones."""
    found = ""
    for size in shape:
        same = [letter for letter, of in sizes.items() if of == size and letter not in found]
        letter = body.sizes.pick(same) if same and body.sizes.chance() else "acdefghijk"[len(sizes)]
        sizes[letter] = size
        found += letter
    return found


@equation
def looked_up_by_turn(body: Body) -> None:
    found = body.read() if body.turns else None
    if found is None:
        return
    row = body.add(f"embedding(turn, {body.turns}, {found[1][-1]})", found[1][-1:], owning=True)
    body.add(f"{found[0]} * {body.without_time(row)}", found[1])


def fill(body: Body, most: int) -> None:
    for _ in range(body.sizes.whole(2, most)):
        body.sizes.pick(EQUATIONS)(body)
    for write in LATE:
        if body.sizes.chance():
            write(body)
