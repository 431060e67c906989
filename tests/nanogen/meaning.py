"""What a spec means, computed from its equations one by one: no graph, no source, weights found by their paths.

Slow and plain. Every value has the axes of batch and time in front, of length 1 where it is the same everywhere.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanogen.language import expression as e
from nanogen.language.spec import Spec, read_spec
from nanogen.language.tables import Table
from nanogen.text.document import parse_document

NUMBERS = {"ceil": math.ceil, "floor": math.floor, "max": max, "min": min, "sqrt": math.sqrt, "round": round}
POINTWISE = {
    "silu": F.silu,
    "relu": F.relu,
    "square": torch.square,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "rms_norm": lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 2**-23),
}
OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "//": operator.floordiv,
    "%": operator.mod,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def logits_of(
    text: str, weights: dict[str, Tensor], tokens: Tensor, dials: dict[str, int] | None = None
) -> Tensor:
    """The logits of a spec with these weights, by path."""
    spec, faults = read_spec(parse_document("spec.toml", text)[0])
    assert not faults, faults
    positions = torch.arange(tokens.shape[1])[None]
    world = World(spec, weights, dials or {})
    world.model = Scope(world, spec.model, "", {"tokens": tokens, "positions": positions})
    return world.model.value("logits")


class World:
    """What all scopes of a model share."""

    def __init__(self, spec: Spec, weights: dict[str, Tensor], dials: dict[str, int]):
        self.spec, self.weights, self.dials = spec, weights, dials
        self.dims = Scope(self, Table("dims", "dims", (), inputs=(), equations=spec.dims), "", {})
        self.model: Scope

    def owns(self, prefix: str) -> bool:
        return any(path == prefix or path.startswith(f"{prefix}.") for path in self.weights)


class Scope:
    """One table, entered: the model, a module, one layer or one turn."""

    def __init__(self, world: World, table: Table, prefix: str, given: dict[str, Any], **more: Any):
        self.world, self.table, self.prefix, self.given = world, table, prefix, given
        self.index: int | None = more.get("index")
        self.turn: int | None = more.get("turn")
        self.below: list[Scope] = more.get("below", [])
        self.args: dict[str, Any] = more.get("args", {})
        self.values: dict[str, Any] = {}
        self.inner: dict[str, list[Scope] | Scope] = {}  # equation -> what its call entered
        self.lends: dict[str, str] = {}  # equation -> the path of the weights that its call computes with

    def value(self, name: str) -> Any:
        if name not in self.values:
            self.values[name] = Equation(self, name).of(self.table.equations[name].expression)
        return self.values[name]

    def name(self, name: str) -> Any:
        known = {"true": 1, "false": 0, "none": None, "i": self.index, "turn": self.turn}
        if name in self.given:
            return self.given[name]
        if name in self.args:
            return self.args[name]
        if name in self.table.args:
            return Equation(self.world.dims, "").of(self.table.args[name].expression, self.index)
        if name in self.table.equations:
            return self.value(name)
        if name in self.world.spec.dims:
            return self.world.dims.value(name)
        return known[name] if name in known else self.world.spec.tables[name]

    def inside(self, path: str) -> Tensor:
        """A value inside a call, or of all layers that have it."""
        head, _, rest = path.partition(".")
        if not rest:
            return self.value(head)
        self.value(head)
        entered = self.inner[head]
        if isinstance(entered, Scope):
            return entered.inside(rest)
        return torch.stack([layer.inside(rest) for layer in entered if layer.has(rest)], dim=2)

    def has(self, path: str) -> bool:
        head, _, rest = path.partition(".")
        if head not in self.table.equations:
            return False
        if not rest:
            return True
        self.value(head)
        entered = self.inner.get(head, [])
        return any(inner.has(rest) for inner in ([entered] if isinstance(entered, Scope) else entered))


class Equation:
    """One equation of a scope, being computed."""

    def __init__(self, scope: Scope, name: str):
        self.scope, self.world, self.name = scope, scope.world, name
        self.path = f"{scope.prefix}{name}"
        self.index: int | None = scope.index

    def of(self, node: Any, index: int | None = None) -> Any:
        self.index = index if index is not None else self.index
        match node:
            case e.Number(value=value):
                return value
            case e.Name(id="i"):
                return self.index
            case e.Name(id=name):
                return self.scope.name(name)
            case e.List_(items=items):
                return [self.of(i) for i in items]
            case e.Attribute():
                return self.scope.inside(dotted(node))
            case e.Unary(operator="-", operand=part):
                return -self.of(part)
            case e.Unary(operand=part):
                return not self.of(part)
            case e.Binary(operator=sign, left=left, right=right):
                return OPERATORS[sign](*aligned(self.of(left), self.of(right)))
            case e.Compare(first=first, rest=rest):
                sides = [self.of(first), *(self.of(part) for _, part in rest)]
                return all(OPERATORS[o](sides[n], sides[n + 1]) for n, (o, _) in enumerate(rest))
            case e.Logic(operator=word, items=items):
                return (all if word == "and" else any)(bool(self.of(i)) for i in items)
            case e.Conditional(test=test, then=then, other=other):
                return self.of(then if self.of(test) else other)
            case e.Subscript(base=base, items=items):
                return self.subscript(self.of(base), items)
            case e.Call():
                return self.call(node)
        raise AssertionError(node)

    def subscript(self, base: Any, items: tuple) -> Any:
        if isinstance(base, list):
            return base[int(self.of(items[0]))]
        keys: list[Any] = []
        for item in items:
            if isinstance(item, e.Slice):
                keys.append(slice(*(self.of(p) if p is not None else None for p in (item.start, item.stop))))
            elif isinstance(item, e.Ellipsis_):
                keys.append(...)
            else:
                keys.append(None if isinstance(item, e.NewAxis) else self.of(item))
        return base[(slice(None), slice(None), *keys)]

    # -- calls

    def call(self, node: e.Call) -> Any:
        if node.callee == "at":
            return self.read_layer(node)
        table = self.callee(node.callee)
        keywords = {name: value for name, value, _ in node.keywords}
        owner = keywords.pop("weights", None)
        if table is None and node.callee in NUMBERS:
            return NUMBERS[node.callee](*(self.of(a) for a in node.args))
        args = [self.of(a) for a in node.args]
        path = self.lender(owner) if owner is not None else self.path
        if self.world.owns(path):
            self.scope.lends[self.name] = path
        if table is None:
            return self.primitive(node.callee, args, keywords, path)
        given = dict(zip(table.inputs, args, strict=True))
        named = {name: self.of(value) for name, value in keywords.items()}
        return {"module": self.module, "stack": self.stack, "loop": self.loop}[table.kind](
            table, given, path, named
        )

    def callee(self, name: str) -> Table | None:
        scope = self.scope
        if name in scope.args or name in scope.table.args:
            return scope.name(name)
        if name in scope.table.choices:
            return scope.args[name]
        return self.world.spec.tables.get(name)

    def lender(self, owner: Any) -> str:
        """The path of the weights that `weights=` means."""
        if isinstance(owner, e.Call):
            scope, name = self.scope.below[self.of(owner.args[1])], owner.args[0].id
        elif isinstance(owner, e.Attribute):
            scope, name = self.world.model, owner.name
        else:
            scope, name = self.scope, owner.id
        scope.value(name)
        return scope.lends[name]

    def read_layer(self, node: e.Call) -> Tensor:
        head, _, rest = dotted(node.args[0]).partition(".")
        layer = self.of(node.args[1])
        if self.scope.index is not None and self.scope.below and head in self.scope.table.equations:
            return self.scope.below[layer].inside(f"{head}.{rest}" if rest else head)
        self.scope.value(head)
        entered = self.scope.inner[head]
        return entered[layer].inside(rest or entered[layer].table.results[0])

    def module(self, table: Table, given: dict, path: str, args: dict) -> Tensor:
        scope = Scope(self.world, table, f"{path}.", given, index=self.index, args=args)
        self.scope.inner[self.name] = scope
        return scope.value("y")

    def stack(self, table: Table, given: dict, path: str, args: dict) -> Tensor:
        count = Equation(self.world.dims, "").of(table.count.expression)
        layers: list[Scope] = []
        for index in range(count):
            scope = Scope(self.world, table, f"{path}.{index}.", given, index=index, below=list(layers))
            scope.args = {name: self.chosen(choice, index) for name, choice in table.choices.items()}
            layers.append(scope)
            given = {**given, **{name: scope.value(name) for name in table.results}}
        self.scope.inner[self.name] = layers
        return given[table.results[0]]

    def chosen(self, choice: Any, index: int) -> Table:
        for rule in choice.rules:
            found = (
                None
                if rule.layers is None
                else Equation(self.world.dims, "").of(rule.layers.expression, index)
            )
            if rule.layers is not None and (index in found if isinstance(found, list) else found):
                return self.world.spec.tables[rule.module]
        return self.world.spec.tables[next(r.module for r in choice.rules if r.layers is None)]

    def loop(self, table: Table, given: dict, path: str, args: dict) -> Tensor:
        name = getattr(table.count.expression, "id", None)
        if name in self.world.spec.dials:
            times = self.world.dials.get(name, self.world.spec.dials[name].dial.default)
        else:
            times = Equation(self.world.dims, "").of(table.count.expression)
        reach = (
            times if table.backprop is None else Equation(self.world.dims, "").of(table.backprop.expression)
        )
        for turn in range(times):
            number = torch.full((1, 1), turn)
            scope = Scope(self.world, table, f"{path}.", given, index=self.index, turn=number)
            with torch.set_grad_enabled(torch.is_grad_enabled() and (reach is None or turn >= times - reach)):
                given = {**given, **{name: scope.value(name) for name in table.results}}
        return given[table.results[0]]

    def primitive(self, name: str, args: list, keywords: dict, path: str) -> Tensor:
        weights = self.world.weights
        match name:
            case "linear":
                bias = weights[f"{path}.bias"] if "bias" in keywords and self.of(keywords["bias"]) else 0
                return args[0] @ weights[f"{path}.weight"].T + bias
            case "embedding":
                return weights[f"{path}.weight"][args[0]]
            case "parameter":
                return weights[path][None, None]
            case "rms_norm" if "gain" in keywords and self.of(keywords["gain"]):
                return POINTWISE[name](args[0]) * weights[f"{path}.gain"]
            case "shift":
                return F.pad(args[0], (0, 0) * (args[0].ndim - 2) + (args[1], 0))[:, : args[0].shape[1]]
            case "concat":
                return torch.cat(args, dim=-1)
            case "split":
                return args[0].unflatten(-1, (args[1], -1))
            case "flatten":
                return args[0].flatten(2)
            case "attend":
                return attend(*args, self.of(keywords["window"]) if "window" in keywords else None)
        return POINTWISE[name](*args)


def attend(q: Tensor, k: Tensor, v: Tensor, window: int | None) -> Tensor:
    places = torch.arange(q.shape[1])
    seen = places[:, None] - places
    mask = (seen < 0) | (seen >= (window or q.shape[1]))
    scores = torch.einsum("bthd,bshd->bhts", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bhts,bshd->bthd", scores.masked_fill(mask, -torch.inf).softmax(-1), v)


def aligned(*sides: Any) -> list[Any]:
    """Two values with as many feature axes: 1s stand behind batch and time."""
    most = max((s.ndim for s in sides if isinstance(s, Tensor)), default=0)
    return [
        s.reshape(*s.shape[:2], *[1] * (most - s.ndim), *s.shape[2:]) if isinstance(s, Tensor) else s
        for s in sides
    ]


def dotted(node: Any) -> str:
    return f"{dotted(node.base)}.{node.name}" if isinstance(node, e.Attribute) else node.id
