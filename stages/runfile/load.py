"""A run file to stages that can be run: structured settings, needs that fit, a compiled model. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from nanogen.compiler import Compiled
from nanogen.planning.hardware import Hardware, load_hardware
from nanogen.run import RunSpec, StageSpec, read_run
from nanogen.shelf import find
from nanogen.structure import structure
from nanogen.text.diagnostics import Diagnostic, Findings, Place, Refusal
from nanogen.text.document import Document, read_document
from nanogen.text.locate import KeyPath
from runtime.faults import Fault
from stages.catalogue import KINDS, Kind, load_kind
from stages.data.place import data_folder
from stages.runfile.models import RunModels
from stages.runfile.rehearsal import SUFFIX, Small, rehearsed
from stages.runfile.unread import unread
from stages.tasks.mixture import TaskFault, TaskSetting, beside
from stages.training.recipe import Tuned, opened


@frozen
class Stage:
    """A stage that can be run."""

    name: str
    uses: str
    needs: tuple[str, ...]
    kind: Kind
    settings: Any
    compiled: Compiled | None  # the model that it is about
    written: Any = None  # the settings as the run file and the defaults have them, where it is rehearsed


@frozen
class Run:
    """A run that can be run: its stages in order, and the model that they make unless they say otherwise."""

    name: str
    document: Document
    stages: tuple[Stage, ...]
    compiled: Compiled | None
    seed: int
    warnings: tuple[Diagnostic, ...]
    path: Path
    stand_ins: Path | None = None  # made-up data, of a rehearsal
    hardware: Hardware | None = None  # that the run file names

    def stage(self, name: str) -> Stage:
        return next(s for s in self.stages if s.name == name)


def load_run(
    path: Path,
    *,
    name: str | None = None,
    stand_ins: Path | None = None,
    full: bool = False,
    looking: bool = True,
) -> Run:
    """Read and check a run file with all it names; raises Refusal with every fault.

    Without `looking`, what it reads from outside need not be here yet. With `stand_ins`, a folder of made-up data, it
    is the run's rehearsal; `full`: with the model as large as it is.
    """
    document, faults = read_document(path, name)
    if faults:
        raise Refusal(faults, document)
    findings = Findings()
    spec, found = read_run(document, KINDS)
    findings.extend(found)
    models = RunModels(spec, path.parent, findings, rehearsed=stand_ins is not None and not full)
    kinds = [load_kind(s.uses) for s in spec.stages]
    read = [
        (s, kind, _settings(s, kind, path.parent, findings))
        for s, kind in zip(spec.stages, kinds, strict=True)
    ]
    _check_reads(spec.stages, findings)
    _check_models(spec, findings)
    models.check_rehearsal()
    hardware = _hardware(spec, path.parent, findings)
    stages = tuple(
        Stage(s.name, s.uses, s.needs, kind, settings, models.of_stage(s, kind))
        for s, kind, settings in read
        if settings is not None
    )
    _check_vocabularies(stages, findings)
    if not findings.errors and stand_ins is not None:
        stages = tuple(_made_small(stage, stand_ins) for stage in stages)
    if not findings.errors and looking:
        _check_settings(stages, findings)
    if findings.errors:
        raise Refusal(findings.all, document)
    run_name = path.stem + (SUFFIX if stand_ins is not None else "")
    warnings = tuple(findings.all)
    return Run(run_name, document, stages, models.of_run(), spec.seed, warnings, path, stand_ins, hardware)


def _hardware(spec: RunSpec, folder: Path, findings: Findings) -> Hardware | None:
    """What the run is planned for; a fault inside the file is that file's own refusal."""
    if spec.hardware is None:
        return None
    try:
        path = find(spec.hardware, "hardware", beside=folder)
    except Refusal as refusal:
        fault = refusal.diagnostics[0]
        findings.note(fault.code, fault.message, Place(("hardware",)), help=fault.help)
        return None
    return load_hardware(path, spec.hardware)


def _settings(spec: StageSpec, kind: Kind, folder: Path, findings: Findings) -> Any:
    """The settings of a stage, with the paths and files that they name; None where they do not fit."""
    if _misspelt(spec, findings):
        return None
    settings, found = structure(kind.Settings, spec.settings, (*spec.path, "with"))
    findings.extend(found)
    if settings is None:
        return None
    findings.extend(unread(kind, settings, spec.settings, (*spec.path, "with")))
    if getattr(settings, "path", None) is not None:  # as every path in a TOML file: from that file
        settings = attrs.evolve(settings, path=str(folder / Path(settings.path).expanduser()))
    for field in attrs.fields(kind.Settings):
        found = getattr(settings, field.name)
        if isinstance(found, tuple) and found and isinstance(found[0], TaskSetting):
            settings = attrs.evolve(settings, **{field.name: beside(found, folder)})
    places = [f.name for f in attrs.fields(kind.Settings) if f.metadata.get("place")]
    named = {name: getattr(settings, name) for name in places if getattr(settings, name) is not None}
    settings = attrs.evolve(settings, **{name: _all_placed(value, folder) for name, value in named.items()})
    if isinstance(settings, Tuned):
        try:
            settings = attrs.evolve(settings, optimizer=opened(settings.optimizer, folder))
        except Refusal as refusal:
            fault = refusal.diagnostics[0]
            if refusal.document.text:  # it was found, and is no TOML
                raise
            findings.note(
                fault.code, fault.message, Place((*spec.path, "with", "optimizer")), help=fault.help
            )
            return None
    return settings


def _misspelt(spec: StageSpec, findings: Findings) -> bool:
    """Whether the stage has a key that is none: what it seems to lack may stand there."""
    return any(
        d.code == "NG103" and d.place.path[:-1] == spec.path and not spec.settings for d in findings.errors
    )


def _made_small(stage: Stage, stand_ins: Path) -> Stage:
    context = stage.compiled.graph.context if stage.compiled is not None else 0
    return attrs.evolve(
        stage,
        written=stage.settings,
        settings=rehearsed(stage.kind, stage.settings, Small(context, stand_ins)),
    )


def _all_placed(named: str | tuple[str, ...], folder: Path) -> str | tuple[str, ...]:
    if isinstance(named, tuple):
        return tuple(str(_placed(one, folder)) for one in named)
    return str(_placed(named, folder))


def _placed(named: str, folder: Path) -> Path:
    """Where a file or folder lies that a setting names: beside the run file, or else in the user's data."""
    beside = folder / Path(named).expanduser()
    return beside if beside.exists() else data_folder() / named


def _check_settings(stages: Iterable[Stage], findings: Findings) -> None:
    """What each kind can tell will not work, before anything runs."""
    for stage in stages:
        check = getattr(stage.kind, "check", None)
        if check is None:
            continue
        try:
            check(stage.settings, stage.compiled)
        except Fault as fault:
            findings.note("NG704", fault.message, Place(blamed(stage, fault)), help=fault.help)


def blamed(stage: Stage, fault: Fault) -> KeyPath:
    """The setting that a fault opens with, down to the task that it is about; else all settings of the stage."""
    named, at = re.match(r"`(\w+)`", fault.message), ("stage", stage.name, "with")
    if named is None or named[1] not in attrs.fields_dict(type(stage.settings)):
        return at
    return (*at, named[1], *((fault.row,) if isinstance(fault, TaskFault) else ()))


def _check_reads(stages: Iterable[StageSpec], findings: Findings) -> None:
    """A kind says which kinds it reads: each must be among what the stage needs, once."""
    uses = {s.name: s.uses for s in stages}
    misspelt = {d.place.path[:2] for d in findings.errors if d.code == "NG103"}
    for stage in stages:
        if not stage.needs and stage.path in misspelt:
            continue
        if stage.uses == "report" and not stage.needs:
            help = "name what it shall tell of: `needs = [...]`"
            message = f"`{stage.name}` needs no stage, so it has nothing to tell of"
            findings.note("NG703", message, Place(stage.path), help=help)
        given = [uses[n] for n in dict.fromkeys(stage.needs) if n in uses]
        unknown = any(n not in uses for n in stage.needs)  # told already
        for wanted in load_kind(stage.uses).READS:
            kinds = (wanted,) if isinstance(wanted, str) else wanted
            count = sum(given.count(kind) for kind in kinds)
            if count != 1 and not unknown:
                have = [n for n, u in uses.items() if u in kinds and n != stage.name]
                named = " or ".join(f"`{kind}`" for kind in kinds)
                message = f"`{stage.name}` reads one {named} stage, and its needs name {count or 'none'}"
                help = f"add `{have[-1]}` to its needs" if have else f'add a stage with `uses = "{kinds[0]}"`'
                if count:
                    help = "leave one in its needs"
                findings.note("NG703", message, Place(("stage", stage.name, "needs")), help=help)


def _check_models(run: RunSpec, findings: Findings) -> None:
    """There is a model where one is read, and a stage sets dims only of a model that it makes."""
    reads = {stage.name: load_kind(stage.uses).MODEL for stage in run.stages}
    if run.model is None and any(reads.values()):
        help = 'write `model = "saint_iberis_tiny"`'
        findings.note("NG102", "the run names no model", Place(), help=help)
    for stage in run.stages:
        if stage.overrides and not reads[stage.name]:
            message = f"`{stage.name}` makes no model, so it has no dims to set"
            help = "set them where the model is pretrained"
            findings.note("NG103", message, Place((*stage.path, "set"), on_key=True), help=help)


def _check_vocabularies(stages: Iterable[Stage], findings: Findings) -> None:
    """A stage that reads a tokenizer and makes a model makes one of as many ids."""
    vocab = {s.name: s.compiled.graph.vocab for s in stages if s.compiled is not None and s.kind.MODEL}
    tokenizers = {stage.name for stage in stages if stage.uses == "tokenizer"}
    for stage in stages:
        for need in tokenizers & set(stage.needs):
            if stage.name in vocab and need in vocab and vocab[stage.name] != vocab[need]:
                message = f"`{stage.name}` has {vocab[stage.name]:,} ids, and its `{need}` {vocab[need]:,}"
                at = Place(("stage", stage.name, "needs"))
                findings.note("NG704", message, at, help="`[set]` the vocabulary for all stages alike")
