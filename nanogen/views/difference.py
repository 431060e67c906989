"""What sets two models apart: their layers and equations, what those cost, and whether weights of one fit the other."""

from __future__ import annotations

import re
from typing import Any

from attrs import asdict, frozen

from nanogen.answers.backward import Reached
from nanogen.answers.flops import convention_per_token
from nanogen.answers.parameters import Placed, parameters
from nanogen.answers.saved import saved
from nanogen.answers.shares import Shares
from nanogen.building.layers import ranges
from nanogen.compiler import Compiled
from nanogen.graph import Graph, Line, Unit, called, nodes
from nanogen.language import initial
from nanogen.language.arithmetic import shown
from nanogen.load import Load
from nanogen.primitives import Parameter
from nanogen.views.card import HALF
from nanogen.views.equation import Forms, written

FIELDS = {"reshaped": "shape", "retyped": "dtype", "laws": "init", "roles": "role"}  # of a parameter


@frozen
class Change:
    """One thing that is not the same: `before` or `after` is None where it is not there."""

    what: str  # "dim", "module", "fact", "equation", "shape"
    name: str
    before: str | None
    after: str | None


@frozen
class Layer:
    """One layer that is not the same in both; what it costs, before and after."""

    index: int
    kind: str  # "added", "removed" or "changed"
    changes: tuple[Change, ...]
    parameters: tuple[int, int]
    training: tuple[float, float]


@frozen
class Stack:
    """One call of a stack by its path: how many layers there were and are, and those that changed."""

    path: str
    counts: tuple[int, int]  # 0 where it is not called
    layers: tuple[Layer, ...]


@frozen
class Total:
    """One number of both models."""

    name: str
    unit: str  # "", "FLOPs" or "bytes"
    before: float
    after: float


@frozen
class Tensors:
    """How the parameters of two models meet, by path: what the second lacks, has more, or has otherwise."""

    missing: tuple[Placed, ...]  # asked for by the second, not in a checkpoint of the first
    left_over: tuple[Placed, ...]
    reshaped: tuple[tuple[Placed, Placed], ...]
    retyped: tuple[tuple[Placed, Placed], ...]
    laws: tuple[tuple[Placed, Placed], ...]  # begin otherwise
    roles: tuple[tuple[Placed, Placed], ...]  # moved otherwise

    @property
    def loads(self) -> bool:
        return not (self.missing or self.left_over or self.reshaped or self.retyped)


@frozen
class Difference:
    """All that sets two models apart."""

    names: tuple[str, str]
    tokens: int  # of the rows that costs are of
    dims: tuple[Change, ...]
    model: tuple[Change, ...]
    stacks: tuple[Stack, ...]
    totals: tuple[Total, ...]
    tensors: Tensors
    same_function: bool  # the emitted source is the same, letter by letter

    @property
    def equal(self) -> bool:
        tensors = self.tensors
        same_start = tensors.loads and not tensors.laws and not tensors.roles
        return self.same_function and same_start and not self.dims


def compare(first: Compiled, second: Compiled) -> Difference:
    """Return what sets the second model apart from the first."""
    one, other = first.graph, second.graph
    tokens = min(one.context, other.context)
    return Difference(
        names=(_name(first), _name(second)),
        tokens=tokens,
        dims=tuple(_pairs("dim", _texts(one.dims), _texts(other.dims))),
        model=tuple(_equations(one.model, other.model, "")),
        stacks=tuple(_stacks(one, other, tokens)),
        totals=tuple(_totals(one, other, tokens)),
        tensors=_tensors(parameters(one), parameters(other)),
        same_function=first.source == second.source,
    )


def _name(compiled: Compiled) -> str:
    """The name, and what `--set` made of it."""
    return " ".join([compiled.name, *(f"{k}={shown(v)}" for k, v in compiled.spec.overrides.items())])


# -- layers


def _stacks(one: Graph, other: Graph, tokens: int) -> list[Stack]:
    forms, costs = Forms(), Shares(tokens)
    before, after = (costs.stacks(graph) for graph in (one, other))
    found = []
    for path in dict.fromkeys([*before, *after]):
        ours, theirs = before.get(path, ()), after.get(path, ())
        layers = [
            _layer(index, ours[index : index + 1], theirs[index : index + 1], costs)
            for index in range(max(len(ours), len(theirs)))
            if _differ(ours[index : index + 1], theirs[index : index + 1], forms)
        ]
        layers = [layer for layer in layers if layer.kind != "changed" or layer.changes]
        if layers:
            found.append(Stack(path, (len(ours), len(theirs)), tuple(layers)))
    return found


def _differ(ours: tuple[Reached, ...], theirs: tuple[Reached, ...], forms: Forms) -> bool:
    """Whether one of two layers is not there, or they are not made of the same."""
    if not ours or not theirs:
        return True
    a, b = ours[0].unit, theirs[0].unit
    return (
        forms.of(a) != forms.of(b)
        or (a.modules, a.numbers) != (b.modules, b.numbers)
        or (a.reaches != b.reaches or a.loans != b.loans)
    )


def _layer(index: int, ours: tuple[Reached, ...], theirs: tuple[Reached, ...], costs: Shares) -> Layer:
    kind = "changed" if ours and theirs else "removed" if ours else "added"
    changes = _inside(ours[0].unit, theirs[0].unit) if ours and theirs else []
    a, b = (costs.of_unit(found[0]) if found else None for found in (ours, theirs))
    return Layer(
        index,
        kind,
        tuple(changes),
        (a.parameters if a else 0, b.parameters if b else 0),
        (a.training if a else 0.0, b.training if b else 0.0),
    )


def _inside(one: Unit, other: Unit) -> list[Change]:
    return [
        *_pairs("module", one.modules, other.modules),
        *_pairs("fact", _texts(one.numbers), _texts(other.numbers)),
        *_equations(one, other, ""),
    ]


def _equations(one: Unit, other: Unit, prefix: str) -> list[Change]:
    """Equations that are not the same, those of the modules they call included."""
    before, after = ({line.name: line for line in unit.lines if _said(line)} for unit in (one, other))
    found: list[Change] = []
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            found.append(Change("equation", prefix + name, a and written(a.node), b and written(b.node)))
        else:
            found += _equation(a, b, prefix + name) or _earlier((one, a), (other, b), prefix + name)
    return found


def _said(line: Line) -> bool:
    """Whether a spec has the line; a dotted one only hands out what others read inside a call."""
    return "." not in line.name


def _earlier(one: tuple[Unit, Line], other: tuple[Unit, Line], path: str) -> list[Change]:
    """Equations that differ in nothing but the layers that they read."""
    before, after = (written(line.node, unit=unit) for unit, line in (one, other))
    return _pairs("equation", {path: before}, {path: after})


def _equation(one: Line, other: Line, path: str) -> list[Change]:
    texts, shapes = (written(one.node), written(other.node)), (one.node.value, other.node.value)
    own = list(_pairs("equation", {path: texts[0]}, {path: texts[1]}))
    if not own:
        own = list(_pairs("shape", {path: shapes[0].described}, {path: shapes[1].described}))
    ours, theirs = _modules(one), _modules(other)
    if [unit.name for unit in ours] != [unit.name for unit in theirs]:
        return own
    return own + [c for a, b in zip(ours, theirs, strict=True) for c in _equations(a, b, f"{path}.")]


def _modules(line: Line) -> list[Unit]:
    """Units that a line calls; layers of a stack are compared apart."""
    return [unit for node in nodes(line.node) for unit in called(node) if unit.kind != "stack"]


def _pairs(what: str, before: dict[str, str], after: dict[str, str]) -> list[Change]:
    names = dict.fromkeys([*before, *after])
    pairs = ((name, before.get(name), after.get(name)) for name in names)
    return [Change(what, name, a, b) for name, a, b in pairs if a != b]


def _texts(numbers: dict[str, Any]) -> dict[str, str]:
    return {name: shown(value) for name, value in numbers.items()}


# -- numbers and tensors


def _totals(one: Graph, other: Graph, tokens: int) -> list[Total]:
    costs = Shares(tokens)
    a, b = (costs.of_model(graph) for graph in (one, other))
    kept = [saved(graph, Load(1, tokens)).bytes(HALF) for graph in (one, other)]
    convention = [convention_per_token(graph, tokens) for graph in (one, other)]
    return [
        Total("parameters", "", a.parameters, b.parameters),
        Total("training, a token, exact", "FLOPs", a.training, b.training),
        Total("training, by 6N + 12·layers·width·T", "FLOPs", convention[0], convention[1]),
        Total("saved for backward, a row", "bytes", kept[0], kept[1]),
        Total("decoding, the last token", "FLOPs", a.decoding, b.decoding),
        Total("decoding state of a row", "bytes", a.state, b.state),
    ]


def _tensors(ours: tuple[Placed, ...], theirs: tuple[Placed, ...]) -> Tensors:
    before, after = ({p.path: p for p in placed} for placed in (ours, theirs))
    both = [(before[p.path], p) for p in theirs if p.path in before]

    def differing(field: str) -> tuple[tuple[Placed, Placed], ...]:
        differ = ((a, b) for a, b in both if getattr(a.parameter, field) != getattr(b.parameter, field))
        # another shape brings another law: that is no second difference
        return tuple((a, b) for a, b in differ if field != "init" or a.parameter.shape == b.parameter.shape)

    return Tensors(
        missing=tuple(p for p in theirs if p.path not in before),
        left_over=tuple(p for p in ours if p.path not in after),
        **{name: differing(field) for name, field in FIELDS.items()},
    )


# -- as people and programs read it


def verdicts(found: Difference) -> list[str]:
    """Say whether a checkpoint of the first loads in the second, and whether both are one function."""
    tensors = found.tensors
    if found.equal:
        return ["the same model: same source, same parameters, same initial laws and roles"]
    counted = [
        (len(tensors.missing), "missing"),
        (len(tensors.left_over), "left over"),
        (len(tensors.reshaped), "of another shape"),
        (len(tensors.retyped), "of another dtype"),
    ]
    told = ", ".join(f"{n:,} tensor{'s' if n > 1 else ''} {what}" for n, what in counted if n)
    loads = f"a checkpoint of {found.names[0]} " + (
        f"does not load: {told}" if told else "loads as it is: same paths, shapes and dtypes"
    )
    started = [(len(tensors.laws), "of another initial law"), (len(tensors.roles), "of another role")]
    otherwise = " and ".join(f"{n:,} tensor{'s' if n > 1 else ''} {what}" for n, what in started if n)
    if not found.same_function:
        function = "another function: the emitted source differs"
    elif tensors.retyped:
        function = "the same source, parameters stored otherwise"
    else:
        function = "the same function: the emitted source is the same"
    return [loads, function + (f"; {otherwise}" if otherwise else "")]


def tensor_rows(tensors: Tensors) -> list[tuple[str, str, str, list[str]]]:
    """What is not the same, path, details, and the paths of all that are so; `*` stands for any layer."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for what, pairs in (
        ("missing", [(p, _shape(p.parameter)) for p in tensors.missing]),
        ("left over", [(p, _shape(p.parameter)) for p in tensors.left_over]),
        ("shape", [(b, f"{_shape(a.parameter)} -> {_shape(b.parameter)}") for a, b in tensors.reshaped]),
        ("dtype", [(b, f"{_stored(a.parameter)} -> {_stored(b.parameter)}") for a, b in tensors.retyped]),
        ("begins", [(b, _laws(a.parameter, b.parameter)) for a, b in tensors.laws]),
        ("role", [(b, f"{a.parameter.role} -> {b.parameter.role}") for a, b in tensors.roles]),
    ):
        for placed, details in pairs:
            key = (what, re.sub(r"\.\d+(?=\.)", ".*", placed.path), details)
            rows.setdefault(key, []).append(placed.path)
    return [
        (what, paths[0] if len(paths) == 1 else path, details, paths)
        for (what, path, details), paths in rows.items()
    ]


def places(paths: list[str]) -> str:
    """The layers that one `*` stands for; where there are several stars, how many tensors."""
    if len(paths) == 1:
        return ""
    indices = [re.findall(r"\.(\d+)(?=\.)", path) for path in paths]
    if all(len(found) == 1 for found in indices):
        return f"layers {ranges([int(found[0]) for found in indices])}"
    return f"{len(paths):,} tensors"


def _shape(parameter: Parameter) -> str:
    return f"({', '.join(map(str, parameter.shape))})"


def _stored(parameter: Parameter) -> str:
    return parameter.dtype or "the run's"


def _laws(before: Parameter, after: Parameter) -> str:
    return f"{initial.shown(before.init)} -> {initial.shown(after.init)}"


def as_json(found: Difference) -> dict[str, Any]:
    """Return a difference as plain JSON."""
    tensors = found.tensors
    return {
        "names": list(found.names),
        "equal": found.equal,
        "same_function": found.same_function,
        "loads": tensors.loads,
        "tokens": found.tokens,
        "totals": [asdict(t) | {"change": t.after - t.before} for t in found.totals],
        "dims": [asdict(c) for c in found.dims],
        "model": [asdict(c) for c in found.model],
        "stacks": [asdict(s) for s in found.stacks],
        "tensors": {
            "missing": [p.path for p in tensors.missing],
            "left_over": [p.path for p in tensors.left_over],
            **{
                name: [
                    {"path": b.path, "before": getattr(a.parameter, key), "after": getattr(b.parameter, key)}
                    for a, b in getattr(tensors, name)
                ]
                for name, key in FIELDS.items()
            },
        },
    }
