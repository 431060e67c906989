"""An optimizer for one model and one run, all numbers settled: who moves what, at which rate, and by what schedule.

Knows nothing of run files or of how optimizers compute. Raises Stop where a law has no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from attrs import frozen

from nanogen.answers.parameters import by_role, parameters
from nanogen.graph import Apply, Call, Climb, Graph, Unit, called
from nanogen.load import Load
from nanogen.optimizer.laws import Law, Scope
from nanogen.optimizer.spec import GroupSpec, GroupTable, OptimizerSpec, known_of_model
from nanogen.optimizer.words import ROLES
from nanogen.text.diagnostics import Diagnostic, Place, Stop, nearest

Numbers = Mapping[str, int | float]


@frozen
class Horizon:
    """How long a run is, in the words of laws."""

    tokens: int
    tokens_per_parameter: float
    batch_tokens: int
    steps: int
    counted: int | float = 0  # parameters that `tokens` were reckoned by; 0 where they are given

    @property
    def numbers(self) -> dict[str, int | float]:
        names = ("tokens", "tokens_per_parameter", "batch_tokens", "steps")
        return {name: getattr(self, name) for name in names}


@frozen
class SettledGroup:
    """A group with the paths of its parameters and its numbers."""

    name: str
    table: GroupTable
    paths: tuple[str, ...]
    rate: float
    decay: float
    scale: Callable[[int, int], float] | None  # of Muon's step, by rows and columns


@frozen
class Settled:
    """An optimizer of one model in one run."""

    groups: tuple[SettledGroup, ...]
    rate: Callable[[int], float]
    momentum: Callable[[int], float]
    decay: Callable[[int], float]


# -- what laws read


def facts(graph: Graph, spec: OptimizerSpec) -> dict[str, int]:
    """What the laws of an optimizer may read of a model."""
    counts = by_role(graph)
    last = {p.parameter.role: p.parameter.shape[-1] for p in reversed(parameters(graph)) if p.parameter.shape}
    roles = {*ROLES, *counts, *(role for group in spec.groups for role in group.table.roles)}
    numbers = {
        **{f"{role}_parameters": counts.get(role, 0) for role in roles},
        "width": last.get("head") or last.get("embedding") or 1,
        "layers": _layers(graph.model, {}),
        "context": graph.context,
        "vocab": graph.vocab,
        "parameters": graph.model.parameters,
        "effective_parameters": _effective(graph.model, {}),
    }
    assert numbers.keys() >= known_of_model(set())
    return numbers


def _layers(unit: Unit, known: dict[Unit, int]) -> int:
    """Layers of all stacks that a unit climbs."""
    if unit not in known:
        own = sum(len(node.layers) for node in unit.nodes if isinstance(node, Climb))
        known[unit] = own + sum(_layers(inner, known) for inner in unit.calls)
    return known[unit]


def _effective(unit: Unit, known: dict[Unit, int]) -> int:
    """Parameters of a unit, those inside a loop once a turn, where the dials stand by default."""
    if unit not in known:
        found = sum(p.count for node in unit.nodes if isinstance(node, Apply) for p in node.owned)
        for node in unit.nodes:
            if isinstance(node, Call) and node.weights is None:
                found += node.turns(Load(1, 1)) * sum(_effective(inner, known) for inner in called(node))
        known[unit] = found
    return known[unit]


# -- numbers


def horizon(
    spec: OptimizerSpec,
    model: Numbers,
    *,
    tokens: int | None = None,
    tokens_per_parameter: float | None = None,
    batch_tokens: int | None = None,
    steps: int | None = None,
) -> Horizon:
    """How long a run is: what is given, the rest by the optimizer.

    Where `steps` are given, `tokens` remain those that the model would have by its parameters: a short try is
    then a piece of the run it stands for, with its batch and its decay.
    """
    ratio = tokens_per_parameter or spec.tokens_per_parameter
    counted = Scope(model, spec.let).compute(spec.parameters)
    by_parameters = tokens is None
    tokens = tokens or max(1, int(ratio * counted))
    known = {**model, "tokens": tokens, "tokens_per_parameter": ratio}
    batch = batch_tokens or _count(spec.batch_tokens, Scope(known, spec.let), "a step has", "tokens")
    known["batch_tokens"] = batch
    steps = steps or _count(spec.steps, Scope(known, spec.let), "a run has", "steps")
    return Horizon(tokens, ratio, batch, steps, counted if by_parameters else 0)


def scope_of(spec: OptimizerSpec, graph: Graph, horizon: Horizon) -> Scope:
    """What the laws of rates and decays read: facts of the model, the horizon, and the laws of `[let]`."""
    return Scope({**facts(graph, spec), **horizon.numbers}, spec.let)


def settle(spec: OptimizerSpec, graph: Graph, horizon: Horizon) -> Settled:
    """The optimizer of a model in a run; raises Stop for a law without a number, or a parameter without a group."""
    scope = scope_of(spec, graph, horizon)
    known = dict(scope.numbers)
    members = assign(spec, graph)
    groups = tuple(_group(group, members[group.name], scope) for group in spec.groups)
    values = {
        name: _of_step(spec, known, name, unsaid)
        for name, unsaid in (("rate", 1.0), ("momentum", 0.95), ("decay", 1.0))
    }
    settled = Settled(groups, **values)
    _check_schedule(spec, settled, horizon.steps)
    return settled


def _group(group: GroupSpec, paths: tuple[str, ...], scope: Scope) -> SettledGroup:
    rate, decay = (_at_least_0(law, scope) for law in (group.rate, group.decay))
    return SettledGroup(group.name, group.table, paths, rate, decay, _scale(group.step))


def _scale(law: Law | None) -> Callable[[int, int], float] | None:
    if law is None:
        return None
    return lambda rows, columns: float(Scope({"rows": rows, "columns": columns}).compute(law))


def _of_step(spec: OptimizerSpec, known: Numbers, name: str, unsaid: float) -> Callable[[int], float]:
    """A result of the schedule as a function of the step."""
    law = spec.schedule.get(name)
    steps = known["steps"]
    if law is None:
        return lambda step: unsaid

    def value(step: int) -> float:
        assert 0 <= step < steps, f"step {step} of a run of {steps}"
        now = {**known, "step": step, "progress": step / steps}
        return float(Scope(now, spec.let, spec.schedule).compute(law))

    return value


def _check_schedule(spec: OptimizerSpec, settled: Settled, steps: int) -> None:
    """Rates that are negative, or a momentum of 1, are told before anything runs; looked at in 64 places."""
    for name, value, most in (
        ("rate", settled.rate, None),
        ("momentum", settled.momentum, 1),
        ("decay", settled.decay, None),
    ):
        for step in sorted({round(place * (steps - 1) / 63) for place in range(64)}):
            found = value(step)
            if found < 0 or (most is not None and found >= most):
                bounds = "is at least 0" + (f" and below {most}" if most is not None else "")
                message = f"`{name}` {bounds}, and at step {step:,} of {steps:,} it is {found:g}"
                raise spec.schedule[name].stop(
                    "NG306", message, help="warmup and warmdown may not overlap, nor be below 0"
                )


def _at_least_0(law: Law, scope: Scope) -> float:
    found = float(scope.compute(law))
    if found < 0:
        raise law.stop(
            "NG306", f"this is {found:g}, and rates and decays are at least 0", help="use 0 to switch it off"
        )
    return found


def _count(law: Law, scope: Scope, what: str, unit: str) -> int:
    found = scope.compute(law)
    if found != int(found) or found < 1:
        message = f"{what} {found:g} {unit}, which is no whole number of at least 1"
        raise law.stop("NG303", message, help="use `round`, `floor` or `//`")
    return int(found)


# -- who moves what


def assign(spec: OptimizerSpec, graph: Graph) -> dict[str, tuple[str, ...]]:
    """The paths of the parameters of each group; raises Stop where a parameter has none, or a group is a slip."""
    placed = parameters(graph)
    members: dict[str, list[str]] = {group.name: [] for group in spec.groups}
    for one in placed:
        role = one.parameter.role
        group = next((g for g in spec.groups if takes(g.table, one.path, role)), None)
        if group is None:
            raise _untaken(spec, one.path, role)
        members[group.name].append(one.path)
    _check_groups(spec, {p.parameter.role for p in placed}, members)
    return {name: tuple(paths) for name, paths in members.items()}


def takes(table: GroupTable, path: str, role: str) -> bool:
    """Whether a group takes a parameter that no group before it has taken."""
    of_role = not table.roles or role in table.roles
    return of_role and (not table.paths or any(fnmatchcase(path, pattern) for pattern in table.paths))


def _untaken(spec: OptimizerSpec, path: str, role: str) -> Stop:
    """No law is to blame, and no line of the file either: the place is all of its groups."""
    known = [r for group in spec.groups for r in group.table.roles]
    message = f"no group of `{spec.document.name}` takes the role `{role}`, which `{path}` has"
    near = nearest(role, known)
    help = (
        near
        if near.startswith("did")
        else f'add `"{role}"` to the `roles` of a group, or give the parameter a role it has'
    )
    return Stop(Diagnostic("NG114", message, Place(("group",)), help=help))


def _check_groups(spec: OptimizerSpec, roles: set[str], members: dict[str, list[str]]) -> None:
    """A role that neither this model nor any other has, and a pattern that finds nothing, are slips."""
    for group in spec.groups:
        for place, role in enumerate(group.table.roles):
            if role not in roles and role not in ROLES:
                message = f"`{role}` is no role: the model has none, and it is not a usual one"
                at = Place((*group.path, "roles", place))
                raise Stop(Diagnostic("NG114", message, at, help=nearest(role, {*roles, *ROLES})))
        if group.table.paths and not members[group.name]:
            message = f"nothing of the model is left for the group `{group.name}`"
            help = "`*` stands for any part of a path, as in `trunk.*.gate.weight`; groups choose in the file's order"
            raise Stop(Diagnostic("NG201", message, Place((*group.path, "paths")), help=help))
