"""Kinds of random equations that call tables, borrow weights, or read what is inside of a call or in another layer."""

from __future__ import annotations

from math import prod

from tests.nanogen.random_equations import LARGEST, MOST_LINES, Body, Called, Callee, equation, late


@equation
def borrowed(body: Body) -> None:
    """A linear with the weights of another, or with the model's table; ids looked up in that table."""
    fits = [
        n for n, (given, _, _) in body.linears.items() if any(s[-1] == given for s in body.shapes.values())
    ]
    if fits and body.sizes.chance():
        owner = body.sizes.pick(fits)
        given, channels, bias = body.linears[owner]
        found = body.read(lambda s: s[-1] == given and prod(s[:-1]) * channels <= LARGEST)
        if found is not None:
            bias = body.sizes.pick(["", bias])
            body.add(f"linear({found[0]}, {channels}{bias}, weights={owner})", (*found[1][:-1], channels))
    elif body.inner and "tokens" in body.ids and body.sizes.chance():
        body.unread.pop("tokens", None)
        body.add("embedding(tokens, vocab, width, weights=model.e0)", (body.sizes.width,))
    elif body.inner and (found := body.read(lambda s: s == (body.sizes.width,))):
        body.add(f"linear({found[0]}, vocab, weights=model.e0)", (body.sizes.vocab,))


def called(body: Body, callee: Callee, settings: str, weights: str = "") -> str:
    """The text of a call with values that are at hand."""
    values = [body.read(lambda s: s == (body.sizes.width,)) for _ in range(callee.values)]
    for name in callee.ids:
        body.unread.pop(name, None)
    assert all(values)
    given = [*(name for name, _ in filter(None, values)), *callee.ids, *([settings] if settings else [])]
    return f"{callee.name}({', '.join(given + ([f'weights={weights}'] if weights else []))})"


def settings_of(body: Body, callee: Callee, *, written: bool = False) -> str:
    size = str(body.sizes.whole(1, 6)) if written else body.number(1, 6, shaping=callee.shaping)
    return ", ".join(f"{argument}={size}" for argument in callee.arguments)


def able(body: Body) -> list[Callee]:
    """What can be called here."""
    if (body.sizes.width,) not in body.shapes.values():
        return []
    return [c for c in body.callees if {*c.ids} <= {*body.ids} and body.written_out + c.lines <= MOST_LINES]


@equation
def call(body: Body) -> None:
    if not (callees := able(body)):
        return
    callee = body.sizes.pick(callees)
    body.written_out += callee.lines
    settings = settings_of(body, callee)
    name = body.add(called(body, callee, settings), (body.sizes.width,), owning=callee.owning)
    body.calls[name] = Called(callee, settings)


@late
def called_again(body: Body) -> None:
    """A table with the weights of another call, and with other arguments where these shape no weights."""
    owners = [n for n, c in body.calls.items() if c.callee in able(body) and c.callee.owning]
    if not owners:
        return
    owner = body.sizes.pick(owners)
    callee, settings = body.calls[owner].callee, body.calls[owner].settings
    body.written_out += callee.lines
    settings = settings if callee.shaping else settings_of(body, callee)
    text = called(body, callee, settings, owner)
    body.calls[body.add(text, (body.sizes.width,))] = Called(callee, settings)


@late
def shared_by_layers(body: Body) -> None:
    """A linear or a call that owns weights in layer 0 alone."""
    if not body.layers:
        return
    earlier = body.sizes.pick(["0", "i - 1", "i // 2"])
    owning = [c for c in able(body) if c.owning]
    if owning and body.sizes.chance():
        callee = body.sizes.pick(owning)
        body.written_out += callee.lines
        settings = settings_of(body, callee, written=True)
        other = settings if callee.shaping or not callee.arguments else f"{callee.arguments[0]}=1 + i"
        first = called(body, callee, settings)  # both read the same, so that all layers have what they read
        again = first.replace(settings, other)[:-1] + f", weights=at({body.next_name}, {earlier}))"
        body.add(f"{first} if i == 0 else {again}", (body.sizes.width,), owning=True)
    elif found := body.read(lambda s: prod(s[:-1]) <= 8):
        text = f"linear({found[0]}, 3"
        again = f"{text}, weights=at({body.next_name}, {earlier}))"
        body.add(f"{text}) if i == 0 else {again}", (*found[1][:-1], 3), owning=True)


@late
def read_inside(body: Body) -> None:
    """A value inside a call; of a stack, those of all layers or of one."""
    within = {p: (call, s) for n, call in body.calls.items() for p, s in body.within(n, call.callee).items()}
    stacks = [n for n, call in body.calls.items() if call.callee.layers]
    if stacks and not body.layers and body.sizes.chance():  # in a layer, `at` means this stack
        name = body.sizes.pick(stacks)
        layers = body.calls[name].callee.layers
        assert layers is not None
        inside = body.calls[name].callee.inside
        path, shape = body.sizes.pick([("", (body.sizes.width,)), *((f".{p}", s) for p, s in inside.items())])
        body.add(f"at({name}{path}, {body.sizes.whole(0, layers[1] - 1)})", shape)
    elif within:
        path = body.sizes.pick(within)
        body.add(body.sizes.pick(["{}", "2 * {}"]).format(path), within[path][1])


@late
def read_of_a_layer(body: Body) -> None:
    """What left an earlier layer, or stands in it; it stays to be read, so that every layer has it."""
    if not body.layers:
        return
    readable = dict.fromkeys(body.carried, (body.sizes.width,)) | body.inside
    path = body.sizes.pick(readable)
    layer, condition = body.sizes.pick(
        [
            ("0", "i > 0"),
            ("i - 1", "i > 0"),
            ("i // 2", "i > 0"),
            (f"{body.layers} - 1 - i", f"2 * i >= {body.layers}"),
        ]
    )
    text = body.sizes.pick(["at({0}, {1}) if {2} else {0}", "{0} + at({0}, {1}) if {2} else {0}"])
    body.add(text.format(path, layer, condition), readable[path])
