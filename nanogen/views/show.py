"""A model laid open: every layer of every stack, every equation of a layer, each with its share of the costs."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from nanogen.answers.backward import Reached
from nanogen.answers.parameters import Placed, of_unit
from nanogen.answers.shares import Share, Shares
from nanogen.graph import Call, Graph, Line, Loop, Node, Unit, called, climbs, loops, nodes, owner_of
from nanogen.language import initial
from nanogen.language.arithmetic import shown
from nanogen.load import Load
from nanogen.text.diagnostics import nearest
from nanogen.views.equation import Forms, written


class NoSuchLayer(Exception):
    """A path that names no layer and no module; says what to do."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message, self.help = message, help


@frozen
class Equation:
    """One equation with its share, and the equations of the module that it calls."""

    path: str
    text: str
    shape: str
    cost: Share
    owned: tuple[Placed, ...]  # by the equation itself, not by what it calls
    inside: tuple[Equation, ...]
    layers: int  # of the stack that it calls, if it calls one
    turns: int  # of the loop that it calls, at the default of its dial


@frozen
class Layer:
    """One layer of a stack: what it is made of, and its share."""

    index: int
    form: int  # alike layers have the same
    modules: dict[str, str]
    facts: dict[str, Any]
    cost: Share


@frozen
class Stack:
    """One call of a stack, layer by layer."""

    path: str
    name: str
    layers: tuple[Layer, ...]
    loop: str  # the path of the loop that climbs it every turn, if one does: costs are of one turn

    @property
    def choices(self) -> list[str]:
        """Names that stand for a module, in some layer."""
        return list(dict.fromkeys(name for layer in self.layers for name in layer.modules))

    @property
    def facts(self) -> list[str]:
        """Names of numbers that are not the same in all layers."""
        names = dict.fromkeys(name for layer in self.layers for name in layer.facts)
        return [n for n in names if len({shown(layer.facts.get(n)) for layer in self.layers}) > 1]

    @property
    def cost(self) -> Share:
        return sum((layer.cost for layer in self.layers[1:]), self.layers[0].cost)


@frozen
class Inside:
    """One layer, module or model from within."""

    path: str
    unit: Unit
    equations: tuple[Equation, ...]
    cost: Share
    loop: str  # the path of the loop that computes it every turn, if one does: costs are of one turn


@frozen
class Model:
    """The whole: the model's own equations, and every stack that is called anywhere."""

    name: str
    context: int
    equations: tuple[Equation, ...]
    stacks: tuple[Stack, ...]
    cost: Share


def lay_open(graph: Graph) -> Model:
    """Return every layer of a model, and the equations outside of them."""
    costs, forms = Shares(graph.context), Forms()
    whole = Reached.whole(graph)
    equations = tuple(_equation(whole, line, "", costs, deep=False) for line in graph.model.lines)
    stacks = tuple(
        _stack(path, layers, costs, forms, _loop(graph, path)) for path, layers in costs.stacks(graph).items()
    )
    return Model(graph.name, graph.context, equations, stacks, costs.of_unit(whole))


def lay_open_layer(graph: Graph, path: str) -> Inside:
    """Return the equations of one layer or module; raises NoSuchLayer."""
    costs = Shares(graph.context)
    whole, found = _find(graph, path, costs)
    equations = tuple(_equation(found, line, f"{whole}.", costs, deep=True) for line in found.unit.lines)
    return Inside(whole, found.unit, equations, costs.of_unit(found), _loop(graph, whole))


def _equation(reached: Reached, line: Line, prefix: str, costs: Shares, *, deep: bool) -> Equation:
    path, unit = prefix + line.name, reached.unit
    units = [inner for node in nodes(line.node) for inner in _members(reached, node, costs)]
    owner = owner_of(line)
    owned = of_unit(_alone(unit, line), prefix) if owner is not None and not called(owner) else []
    layers = sum(inner.unit.kind == "stack" for inner in units)
    inside = [
        _equation(inner, below, f"{path}.", costs, deep=True)
        for inner in (units if deep and not layers else [])
        for below in inner.unit.lines
    ]
    value = line.node.value.described
    cost = costs.of_line(reached, line)
    turns = sum(node.turns(Load()) for node in nodes(line.node) if isinstance(node, Loop))
    text = written(line.node, laws=False, unit=unit)
    return Equation(path, text, value, cost, tuple(owned), tuple(inside), layers, turns)


def _alone(unit: Unit, line: Line) -> Unit:
    return Unit(unit.kind, unit.name, unit.inputs, (line,), (line.name,))


def _members(reached: Reached, node: Node, costs: Shares) -> tuple[Reached, ...]:
    return costs.gradients(reached).members(node) if isinstance(node, Call) else ()


def _loop(graph: Graph, path: str) -> str:
    """The path of the innermost loop around a path, itself included, if there is one."""
    around = [found for found, _ in loops(graph) if f"{path}.".startswith(f"{found}.")]
    return max(around, key=len, default="")


def _stack(path: str, found: tuple[Reached, ...], costs: Shares, forms: Forms, loop: str) -> Stack:
    layers = tuple(
        Layer(index, forms.of(at.unit), at.unit.modules, at.unit.numbers, costs.of_unit(at))
        for index, at in enumerate(found)
    )
    return Stack(path, found[0].unit.name, layers, loop)


# -- paths


def _find(graph: Graph, path: str, costs: Shares) -> tuple[str, Reached]:
    """The whole path and the unit that a path names; a bare number is a layer of the only stack."""
    names = path.split(".")
    if names[0].isdecimal():
        paths = [found for found, _ in climbs(graph)]
        if len(paths) != 1:
            message = (
                f"there {'are ' + str(len(paths)) if paths else 'is no'} stacks to have a layer {names[0]}"
            )
            raise NoSuchLayer(message, "name one by its path: " + ", ".join(f"`{p}.0`" for p in paths[:6]))
        names = [*paths[0].split("."), *names]
    at, walked = Reached.whole(graph), ""
    while names:
        line = _line(at.unit, names.pop(0), walked)
        walked = f"{walked}.{line.name}" if walked else line.name
        members = _members(at, _entered(line, walked), costs)
        at = members[0]
        if at.unit.kind == "stack":
            index = _index(len(members), names.pop(0) if names else "", walked)
            at, walked = members[index], f"{walked}.{index}"
    return walked, at


def _line(unit: Unit, name: str, walked: str) -> Line:
    found = [line for line in unit.lines if line.name == name]
    if not found:
        where = f"`{walked}`" if walked else "the model"
        message = f"{where} has no equation `{name}`"
        raise NoSuchLayer(message, nearest(name, [line.name for line in unit.lines if _calls(line)]))
    return found[0]


def _calls(line: Line) -> bool:
    return any(called(node) for node in nodes(line.node))


def _entered(line: Line, walked: str) -> Node:
    """The call that a path goes through: the one that owns, or the first."""
    calling = [node for node in nodes(line.node) if called(node)]
    if not calling:
        raise NoSuchLayer(f"`{walked}` calls no module and no stack", "show the layer that it stands in")
    owner = owner_of(line)
    return owner if owner is not None and owner in calling else calling[0]


def _index(layers: int, text: str, walked: str) -> int:
    last = layers - 1
    if not text.isdecimal() or int(text) > last:
        said = f"there is no layer `{text}` in `{walked}`" if text else f"`{walked}` is a stack of layers"
        raise NoSuchLayer(said, f"layers count from 0 to {last}: `{walked}.{last}`")
    return int(text)


# -- JSON


def model_as_json(model: Model) -> dict[str, Any]:
    """Return a model as plain JSON."""
    return {
        "name": model.name,
        "context": model.context,
        "total": cost_as_json(model.cost),
        "equations": [equation_as_json(e) for e in model.equations],
        "stacks": [
            {
                "path": s.path,
                "stack": s.name,
                "loop": s.loop or None,
                "layers": [_layer_as_json(layer) for layer in s.layers],
            }
            for s in model.stacks
        ],
    }


def inside_as_json(inside: Inside) -> dict[str, Any]:
    """Return a layer as plain JSON."""
    return {
        "path": inside.path,
        "kind": inside.unit.kind,
        "table": inside.unit.name,
        "loop": inside.loop or None,
        "modules": inside.unit.modules,
        "facts": inside.unit.numbers,
        "total": cost_as_json(inside.cost),
        "equations": [equation_as_json(e) for e in inside.equations],
    }


def cost_as_json(cost: Share) -> dict[str, Any]:
    """Return a cost under the names and in the units of the tables."""
    return {
        "parameters": cost.parameters,
        "training_flops_per_token": cost.training,
        "decoding_flops_last_token": cost.decoding,
        "decoding_state_bytes": cost.state,
    }


def equation_as_json(equation: Equation) -> dict[str, Any]:
    """Return an equation as plain JSON, with what it owns and what it calls."""
    return {
        "path": equation.path,
        "equation": equation.text,
        "shape": equation.shape,
        **cost_as_json(equation.cost),
        "owns": [parameter_as_json(p) for p in equation.owned],
        "inside": [equation_as_json(e) for e in equation.inside],
    }


def parameter_as_json(placed: Placed) -> dict[str, Any]:
    """Return a parameter as plain JSON."""
    parameter = placed.parameter
    return {
        "path": placed.path,
        "shape": list(parameter.shape),
        "init": initial.shown(parameter.init),
        "role": parameter.role,
        "dtype": parameter.dtype,
    }


def _layer_as_json(layer: Layer) -> dict[str, Any]:
    return {
        "index": layer.index,
        "modules": layer.modules,
        "facts": layer.facts,
        **cost_as_json(layer.cost),
    }
