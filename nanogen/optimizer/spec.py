"""An optimizer's file, typed: groups of parameters, laws of rates and decays, the batch, and the schedule.

Knows nothing of the model or the run that the laws will be computed for.
"""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from nanogen.bounds import at_least, one_of, positive, share
from nanogen.language.expression import Number
from nanogen.optimizer.laws import Law, check_law, reached, read_law
from nanogen.optimizer.words import BATCH, CONSTANTS, HORIZON, MODEL, RESULTS, ROLES, RUN, SHAPE, STEP
from nanogen.structure import Formula, structure
from nanogen.text.diagnostics import Diagnostic, Findings, Place, Stop, nearest
from nanogen.text.document import Document
from nanogen.text.locate import KeyPath

SECTIONS = {
    "kind": 'What the file is: "optimizer".',
    "about": "What the optimizer is, and where it comes from.",
    "let": "Numbers that laws of this file read by name, each by a law of its own.",
    "batch": "How many tokens a step has, and how many steps a run, where the stage does not say.",
    "group": "Groups of parameters, each moved in one way; a parameter goes to the first that takes it.",
    "schedule": "Laws of the step: `rate`, `momentum` and `decay`, and others that these read.",
}


def setting(help: str, **more: Any) -> Any:
    """A key of a table, and what it says in one line."""
    return field(metadata={"help": help}, kw_only=True, **more)


@frozen
class BatchTable:
    """Keys of `[batch]`."""

    parameters: Formula = setting(
        "the parameters that tokens a parameter are counted on", default="parameters"
    )
    tokens_per_parameter: float = setting(
        "tokens to train on, for each of them", default=20.0, validator=positive
    )
    tokens: Formula = setting("tokens of a step", default=524_288)
    steps: Formula = setting("steps of the run", default="max(1, tokens // batch_tokens)")


@frozen
class GroupTable:
    """Keys of every `[group.NAME]`."""

    method: str = setting("what moves the group", validator=one_of("adamw", "muon"))
    roles: tuple[str, ...] = setting("the roles that it takes; unsaid, any", default=())
    paths: tuple[str, ...] = setting(
        "patterns of the paths that it takes, `*` for any part; unsaid, any", default=()
    )
    rate: Formula = setting("the learning rate, before the schedule's multiplier")
    decay: Formula = setting("the weight decay, of which a step takes rate times as much", default=0)


@frozen
class AdamWTable(GroupTable):
    """Keys of a group that AdamW moves."""

    betas: tuple[float, ...] = setting("how slowly the two moments follow", default=(0.9, 0.95))
    eps: float = setting("what is added to the root of the second moment", default=1e-8, validator=positive)

    def __attrs_post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("`betas` are two numbers of at least 0 and below 1")


@frozen
class MuonTable(GroupTable):
    """Keys of a group that Muon moves; its parameters are matrices."""

    orthogonalize: str = setting(
        "the iteration that sets singular values near one",
        default="newton_schulz",
        validator=one_of("newton_schulz", "polar_express"),
    )
    iterations: int = setting("how often it is repeated", default=5, validator=at_least(1))
    equalize: bool = setting("MuonEq: give all rows one norm before it", default=False)
    renormalize: bool = setting("Muon+: give the result the norm of a rotation", default=False)
    variance_beta: float | None = setting(
        "NorMuon: even the rows out by a second moment that follows so slowly", default=None, validator=share
    )
    cautious: bool = setting("decay only those weights that the step makes smaller too", default=False)
    step: Formula = setting(
        "what the step is multiplied by, by `rows` and `columns`", default="max(1, rows / columns) ** 0.5"
    )


METHODS: dict[str, type[GroupTable]] = {"adamw": AdamWTable, "muon": MuonTable}


@frozen
class GroupSpec:
    """A group with its laws read."""

    name: str
    table: GroupTable
    rate: Law
    decay: Law
    step: Law | None = None  # Muon's

    @property
    def path(self) -> KeyPath:
        return ("group", self.name)


@frozen
class OptimizerSpec:
    """An optimizer's file, read; every law in it names only what it may read."""

    document: Document
    about: str
    let: dict[str, Law]
    parameters: Law
    tokens_per_parameter: float
    batch_tokens: Law
    steps: Law
    groups: tuple[GroupSpec, ...]
    schedule: dict[str, Law]

    @property
    def names(self) -> frozenset[str]:
        """What a rate or a decay may read."""
        roles = {role for group in self.groups for role in group.table.roles}
        return frozenset({*known_of_model(roles), *HORIZON, *BATCH, *RUN, *self.let, *CONSTANTS})


def known_of_model(roles: set[str]) -> set[str]:
    """The facts of a model that laws may read, with the counts of all roles that are known."""
    counted = {f"{role}_parameters" for role in {*ROLES, *roles}}
    return {*MODEL, *counted} - {"ROLE_parameters"}


def read_optimizer(document: Document) -> tuple[OptimizerSpec | None, list[Diagnostic]]:
    """Return the typed optimizer, or None and what is wrong with it."""
    reader = _Reader(document)
    spec = reader.optimizer()
    return (None if reader.findings.errors else spec), reader.findings.all


class _Reader:
    def __init__(self, document: Document):
        self.document, self.findings = document, Findings()

    def fault(self, code: str, message: str, path: KeyPath, help: str, on_key: bool = False) -> None:
        self.findings.note(code, message, Place(path, on_key=on_key), help=help)

    def optimizer(self) -> OptimizerSpec | None:
        data = self.document.data
        if data.get("kind") != "optimizer":
            help = 'write `kind = "optimizer"` first'
            self.fault("NG102", 'an optimizer opens with `kind = "optimizer"`', ("kind",), help)
            return None
        for name in data:
            if name not in SECTIONS:
                self.fault("NG103", f"an optimizer has no `{name}`", (name,), nearest(name, SECTIONS), True)
        if not isinstance(data.get("about"), str):
            self.fault("NG102", "an optimizer says what it is", ("about",), 'write `about = "..."`')
        tables = self.table("group")
        if not tables:
            self.fault(
                "NG102", "the optimizer has no group", ("group",), 'add `[group.all]` with `method = "adamw"`'
            )
        groups = [self.group(name, body) for name, body in tables.items()]
        batch, found = structure(BatchTable, self.table("batch"), ("batch",))
        self.findings.extend(found)
        if batch is None or None in groups:
            return None
        spec = OptimizerSpec(
            document=self.document,
            about=str(data.get("about", "")),
            let=self.laws("let"),
            parameters=self.law(batch.parameters, ("batch", "parameters")),
            tokens_per_parameter=batch.tokens_per_parameter,
            batch_tokens=self.law(batch.tokens, ("batch", "tokens")),
            steps=self.law(batch.steps, ("batch", "steps")),
            groups=tuple(g for g in groups if g is not None),
            schedule=self.laws("schedule"),
        )
        self.check_names(spec)
        self.check_roles(spec)
        if not self.findings.errors:  # what cannot be read may be what reads
            self.check_read(spec)
        return spec

    def table(self, name: str) -> dict[str, Any]:
        found = self.document.data.get(name, {})
        if isinstance(found, dict):
            return found
        self.fault("NG101", f"`{name}` is a table", (name,), f"write `[{name}]`")
        return {}

    def group(self, name: str, body: Any) -> GroupSpec | None:
        path = ("group", name)
        if not isinstance(body, dict):
            self.fault("NG101", f"`group.{name}` is a table", path, f"write `[group.{name}]`")
            return None
        method = METHODS.get(str(body.get("method")), GroupTable)
        table, found = structure(method, body, path)
        self.findings.extend(found if method is not GroupTable else [d for d in found if d.code != "NG103"])
        if table is None or method is GroupTable:
            return None
        if not table.roles and not table.paths:
            self.fault("NG102", f"the group `{name}` takes nothing", path, 'write `roles = ["matrix"]`')
        rate, decay = self.law(table.rate, (*path, "rate")), self.law(table.decay, (*path, "decay"))
        step = self.law(table.step, (*path, "step")) if isinstance(table, MuonTable) else None
        return GroupSpec(name, table, rate, decay, step)

    def laws(self, section: str) -> dict[str, Law]:
        table, found = self.table(section), {}
        for name, value in table.items():
            if not name.isidentifier() or not name.isascii():
                help = "letters from a to z, digits and `_`"
                self.fault("NG106", f"`{name}` is not a name", (section, name), help, True)
            found[name] = self.law(value, (section, name))
        return found

    def law(self, value: Any, path: KeyPath) -> Law:
        try:
            return read_law(value, path)
        except Stop as stop:
            if stop.diagnostic is not None:
                self.findings.add(stop.diagnostic)
            return Law(path, Number((0, 0), 1), written=False)  # stands for it: more faults may be told

    def check_names(self, spec: OptimizerSpec) -> None:
        """Each law reads what is known where it is computed; none takes a name that means something else."""
        counts = known_of_model({role for group in spec.groups for role in group.table.roles})
        model = {*counts, *spec.let, *CONSTANTS}
        self.check(spec.parameters, model)
        self.check(spec.batch_tokens, {*model, *HORIZON})
        self.check(spec.steps, {*model, *HORIZON, *BATCH})
        for law in (*spec.let.values(), *(law for g in spec.groups for law in (g.rate, g.decay))):
            self.check(law, spec.names)
        for group in spec.groups:
            if group.step is not None:
                self.check(group.step, {*SHAPE, *CONSTANTS})
        self.findings.extend(check_schedule(spec, spec.schedule))
        for section, laws in (("let", spec.let), ("schedule", spec.schedule)):
            taken = {
                *counts,
                *HORIZON,
                *BATCH,
                *RUN,
                *STEP,
                *CONSTANTS,
                *(spec.let if section != "let" else ()),
            }
            for name in laws:
                if name in taken:
                    self.fault(
                        "NG107", f"`{name}` means something else in laws", (section, name), "rename it", True
                    )

    def check(self, law: Law, names: set[str] | frozenset[str]) -> None:
        self.findings.extend(check_law(law, names))

    def check_roles(self, spec: OptimizerSpec) -> None:
        """A role that an earlier group takes whole is never left for a later one."""
        taken: dict[str, str] = {}
        for group in spec.groups:
            for place, role in enumerate(group.table.roles):
                if role in taken:
                    message = f"`{taken[role]}` takes every parameter of the role `{role}` before `{group.name}` can"
                    at = (*group.path, "roles", place)
                    self.fault(
                        "NG107", message, at, "take it out of one, or put the group with `paths` first"
                    )
                elif not group.table.paths:
                    taken[role] = group.name

    def check_read(self, spec: OptimizerSpec) -> None:
        """A law that no other reads, and that is no result, is a slip."""
        for name in spec.schedule:
            if name not in RESULTS and name not in read_by_schedule(spec.schedule):
                message = f"no law reads `{name}`, and it is no result of a schedule"
                self.fault("NG103", message, ("schedule", name), nearest(name, RESULTS), True)
        of_groups = (law for g in spec.groups for law in (g.rate, g.decay))
        first = (spec.parameters, spec.batch_tokens, spec.steps, *of_groups, *spec.schedule.values())
        for name in spec.let.keys() - reached(spec.let, *first):
            self.fault("NG103", f"no law reads `{name}`", ("let", name), "leave it out, or read it", True)


def read_by_schedule(laws: dict[str, Law]) -> set[str]:
    """The laws of a schedule on which its results hang."""
    return reached(laws, *(law for name, law in laws.items() if name in RESULTS))


def check_schedule(spec: OptimizerSpec, laws: dict[str, Law]) -> list[Diagnostic]:
    """What laws of a schedule cannot mean in this optimizer."""
    names = {*spec.names, *STEP, *spec.schedule}
    return [fault for law in laws.values() for fault in check_law(law, names)]


def changed(
    spec: OptimizerSpec, *, rates: dict[str, Law], decays: dict[str, Law], schedule: dict[str, Law]
) -> tuple[OptimizerSpec, list[Diagnostic]]:
    """The optimizer with other laws: of groups by their name, and of the schedule; and what is wrong with them."""
    groups = {group.name: group for group in spec.groups}
    faults = check_schedule(spec, schedule)
    for law in (*rates.values(), *decays.values()):
        faults += check_law(law, spec.names)
    for laws, known in ((rates, groups), (decays, groups), (schedule, {**spec.schedule, **RESULTS})):
        for name in laws.keys() - known.keys():
            message = f"`{spec.document.name}` has no `{name}` to change"
            faults.append(Diagnostic("NG103", message, laws[name].place(), help=nearest(name, known)))
    whole = {**spec.schedule, **schedule}
    for name in schedule.keys() - read_by_schedule(whole) - RESULTS.keys() if not faults else ():
        message = f"it changes nothing: no law of the schedule reads `{name}` as it is now"
        faults.append(Diagnostic("NG704", message, schedule[name].place(), help="leave it out"))
    if faults:
        return spec, faults
    made = tuple(
        attrs.evolve(g, rate=rates.get(g.name, g.rate), decay=decays.get(g.name, g.decay))
        for g in spec.groups
    )
    return attrs.evolve(spec, groups=made, schedule=whole), []
