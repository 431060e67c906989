"""Random specs that are valid by construction: tables of random equations that call one another.

A new kind of table is one function that writes a `Body` and gives its text. Kinds of equations are in
`random_equations.py` and `random_calls.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from tests.nanogen.random_calls import called
from tests.nanogen.random_equations import Body, Called, Callee, Sizes, fill

MOST_TURNS = 4


@frozen
class Spec:
    """The text of a spec, and where its dials are worth standing."""

    text: str
    dials: tuple[dict[str, int], ...]


def module(sizes: Sizes, name: str, ids: dict[str, int], before: tuple[Callee, ...]) -> tuple[Callee, str]:
    """A module of (width) to (width), which may call the tables before it."""
    arguments = sizes.pick([(), ("size",)])
    body = Body(sizes, {"x": (sizes.width,)}, ids, arguments, before)
    fill(body, 6)
    body.result("y", sizes.width)
    args = "args = { size = 3 }\n" if arguments else ""
    made = Callee(
        name, 1, tuple(ids), body.owning, lines_of(body), arguments, body.shaping, body.inside
    )  # fmt: skip
    return made, f"[module.{name}]\n{inputs('x', *ids)}{args}{body.text()}"


def inputs(*names: str) -> str:
    listed = ", ".join(f'"{n}"' for n in names)
    return f"inputs = [{listed}]\n"


def lines_of(body: Body) -> int:
    return len(body.lines) + body.written_out


def stack(sizes: Sizes, name: str, before: tuple[Callee, ...]) -> tuple[Callee, str]:
    """A stack with or without a choice, facts, a second carried value, a constant one."""
    carried, constant = sizes.pick([("x",), ("x", "s")]), sizes.pick([(), ("x0",)])
    layers = sizes.pick([("depth", sizes.depth), ("1", 1), ("3", 3)])
    body = Body(
        sizes, dict.fromkeys((*carried, *constant), (sizes.width,)), {"tokens": sizes.vocab}, (), before
    )
    body.layers = layers[0]
    lines = []
    if sizes.chance():
        body.facts = ("fact",)
        lines.append(
            sizes.pick(['fact = "1 + i"', 'fact = "2 if i % 2 else 5"', 'fact = "max(depth - i, 1)"'])
        )
    modules = [c for c in before if c.name.startswith("m")]
    if len(modules) > 1 and sizes.chance():
        rule = sizes.pick(['"i == 0"', '"i % 2 == 1"', "[0]"])
        lines.append(f'pick = {{ {modules[-1].name} = {rule}, {modules[0].name} = "rest" }}')
        chosen = Callee("pick", 1, modules[0].ids, True, max(c.lines for c in modules))
        body.written_out += chosen.lines
        body.add(called(body, chosen, ""), (sizes.width,), owning=True)
    body.carried = carried
    fill(body, 5)
    body.result("x", sizes.width, "x + {}")
    inside = body.inside
    if "s" in carried:
        body.lines["s"] = sizes.pick(["0.5 * s + joined", "joined", "linear(s, width)"])
        inside["s"] = (sizes.width,)
    facts = "".join(f"{line}\n" for line in lines)
    text = (
        f'[stack.{name}]\n{inputs(*carried, *constant, "tokens")}layers = "{layers[0]}"\n{facts}{body.text()}'
    )
    made = Callee(
        name, len(carried + constant), ("tokens",), True, layers[1] * lines_of(body), inside=inside, layers=layers
    )  # fmt: skip
    return made, text


def loop(sizes: Sizes, name: str, before: tuple[Callee, ...]) -> tuple[Callee, str]:
    """A loop that turns a fixed number of times or as a dial says, with one or two values carried."""
    carried, cut = sizes.pick([("s",), ("s", "u")]), sizes.pick(["", "", "1", "2", '"depth"'])
    constant = ("e",) if cut else sizes.pick([(), ("e",)])
    ids = sizes.pick([{}, {"tokens": sizes.vocab}])
    times = sizes.pick(["1", "2", "4", "r", "r", "k"])
    most = int(times) if times.isdecimal() else MOST_TURNS
    body = Body(sizes, dict.fromkeys((*carried, *constant), (sizes.width,)), ids, (), before)
    body.turns = most
    for state in carried if cut else ():  # no value without a gradient
        body.add(f"{state} + 0.3 * e", (sizes.width,))
        del body.shapes[state], body.unread[state]
    fill(body, 5)
    body.result("s", sizes.width, sizes.pick(["s + {}", "{}", "0.5 * s + {}"]))
    if "u" in carried:
        body.lines["u"] = sizes.pick(
            ["0.5 * u + joined", "joined", f"linear({'e1' if cut else 'u'}, width)", "u + shift(s, 1)"]
        )
    backprop = f"backprop = {cut}\n" if cut else ""
    text = f'[loop.{name}]\n{inputs(*carried, *constant, *ids)}times = "{times}"\n{backprop}{body.text()}'
    return Callee(name, len(carried + constant), tuple(ids), True, most * lines_of(body)), text


def tables_of(sizes: Sizes) -> tuple[tuple[Callee, ...], list[str]]:
    """Modules, stacks and loops, of which each may call those before it."""
    callees: tuple[Callee, ...] = ()
    tables = []
    given = sizes.pick([{}, {"tokens": sizes.vocab}])
    for number in range(sizes.whole(0, 4)):
        kind = sizes.pick("mmtl")
        if kind == "m":
            made, text = module(sizes, f"m{number}", given, callees)
        else:
            made, text = (stack if kind == "t" else loop)(sizes, f"{kind}{number}", callees)
        callees, tables = (*callees, made), [*tables, text]
    return callees, tables


@st.composite
def specs(draw: Callable[..., Any]) -> Spec:
    """A spec that compiles."""
    width, loops = draw(st.sampled_from([4, 6, 8, 12])), draw(st.booleans())
    sizes = Sizes(
        draw, width, draw(st.integers(5, 13)), draw(st.integers(6, 20)), draw(st.integers(1, 4)), not loops
    )
    callees, tables = tables_of(sizes)
    ids = sizes.pick([{"tokens": sizes.vocab}, {"tokens": sizes.vocab, "positions": sizes.context}])
    body = Body(sizes, {}, ids, (), callees, inner=False)
    body.add("embedding(tokens, vocab, width, init=normal(0.5))", (width,), owning=True)
    body.unread.pop("tokens", None)
    fill(body, 3)
    for callee in [c for c in callees if not c.name.startswith("m")]:
        if body.written_out < 2 * callee.lines:
            body.written_out += callee.lines
            name = body.add(called(body, callee, ""), (width,), owning=True)
            body.calls[name] = Called(callee, "")
    fill(body, 4)
    tied = sizes.pick(["", "", "e0"])
    body.result("logits", sizes.vocab, sizes.pick(["{}", "softcap({}, 15)", "float32({})"]), tied)
    dims = {"vocab": sizes.vocab, "context": sizes.context, "width": width, "depth": sizes.depth}
    head = 'kind = "model"\nlanguage = 1\n[dims]\n' + "".join(f"{n} = {v}\n" for n, v in dims.items())
    text = "\n".join([*tables, "[model]\n" + body.text()])
    dials = {name: sizes.whole(1, 3) for name in ("r", "k") if f'times = "{name}"' in text}
    head += "".join(f"[dial.{n}]\ndefault = {v}\nmax = {MOST_TURNS}\n" for n, v in dials.items())
    return Spec(head + text, ({}, *(dict.fromkeys(dials, turns) for turns in (1, MOST_TURNS) if dials)))
