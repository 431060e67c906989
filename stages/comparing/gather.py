"""Find the logs that are compared: of runs, or of their stages, and what makes them hard to compare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from nanogen.text.diagnostics import nearest
from runtime.faults import Fault
from runtime.manifest import digest
from runtime.metrics import read_log
from stages.comparing.curve import VALIDATION, Curve, curve, figures
from stages.logs.run_folder import RunFolder, StageFolder, find_run, is_stage

TOKENIZER = "tokenizer.json"
WINDOWS = 10  # of smoothing, in the shortest curve
FIRST = (
    "bits_per_byte",
    "loss",
    "reward",
)  # figures that are taken where none is asked for, if all have them


@frozen
class Log:
    """A stage's log, under the name that it was asked for by."""

    label: str
    stage: str
    events: list[dict[str, Any]]
    tokenizer: str | None  # its digest, where it can be found


@frozen
class Compared:
    """Curves of one figure, and what to know about them."""

    figure: str
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]


def compare(named: Sequence[str], runs: Path, *, stage: str | None, figure: str | None) -> Compared:
    """Read the logs; raises Fault where one has no such stage or figure."""
    logs = gather(named, runs, stage)
    wanted = figure or _common(logs)
    curves = []
    for log in logs:
        found = curve(log.label, log.events, wanted)
        if found is None:
            known = figures(log.events)
            help = (
                f"it has {', '.join(f'`{name}`' for name in known)}" if known else "it has logged nothing yet"
            )
            raise Fault(f"the log of `{log.label}` has no figure `{wanted}`", help)
        curves.append(found)
    window = min(found.most("step") or 0.0 for found in curves) / WINDOWS
    curves = [evolve(found, window=window) for found in curves]
    return Compared(wanted, tuple(curves), tuple(_notes(logs, wanted)))


def gather(named: Sequence[str], runs: Path, stage: str | None) -> list[Log]:
    """The log of each run: of the stage that is asked for, or else of the first that all of them have."""
    found = [_find(name, runs, stage) for name in named]
    open_ = [_trained(run) for run, chosen in found if chosen is None]
    common = next(
        (s.name for s in (open_[0] if open_ else []) if all(s.name in [x.name for x in o] for o in open_)),
        None,
    )
    logs = []
    for name, (run, chosen) in zip(named, found, strict=True):
        trained = {s.name: s for s in _trained(run)}
        if not trained:
            raise Fault(f"no stage of `{name}` has a log", "it is written from the first step on")
        wanted = chosen or common or next(iter(trained))
        if wanted not in trained:
            raise Fault(f"`{name}` has no log of a stage `{wanted}`", nearest(wanted, list(trained)))
        logs.append((run, trained[wanted]))
    labels = _labels(logs)
    return [
        Log(label, stage.name, read_log(stage.folder), tokenizer_digest(run, stage))
        for label, (run, stage) in zip(labels, logs, strict=True)
    ]


def _find(name: str, runs: Path, stage: str | None) -> tuple[RunFolder, str | None]:
    """A run and the stage that is named with it, as in RUN/STAGE."""
    for path in (Path(name).expanduser(), runs / name):
        if is_stage(path):
            return RunFolder(path.parent), path.name
    try:
        return find_run(name, runs), stage
    except Fault:
        run, slash, last = name.rstrip("/").rpartition("/")
        if not slash or not run:
            raise
        return find_run(run, runs), last  # which then is told to have no such stage


def _trained(run: RunFolder) -> list[StageFolder]:
    return [stage for stage in run.stages() if stage.logged]


def _labels(logs: Sequence[tuple[RunFolder, StageFolder]]) -> list[str]:
    """As short as tells them apart: the run, the run and the stage, and a number where even those are the same."""
    runs = [run.name for run, _ in logs]
    names = [_label(run, stage, alone=runs.count(run.name) == 1) for run, stage in logs]
    if len(set(names)) < len(names):
        names = [str(stage.folder) for _, stage in logs]
    return [n if names.count(n) == 1 else f"{n} ({names[: at + 1].count(n)})" for at, n in enumerate(names)]


def _label(run: RunFolder, stage: StageFolder, *, alone: bool) -> str:
    if run.name.startswith("."):  # an earlier result, kept aside
        return f"{run.folder.resolve().parent.name}/{run.name}/{stage.name}"
    return run.name if alone else f"{run.name}/{stage.name}"


def _common(logs: Sequence[Log]) -> str:
    """The figure that is taken where none is asked for: the first that every log has a course of."""
    lengths = [{name: _points(log, name) for name in figures(log.events)} for log in logs]
    shared = [name for name in lengths[0] if all(name in found for found in lengths)]
    if not shared:
        raise Fault("these logs have no figure in common", "name runs of the same kind, or `--stage`")
    wanted = [name for name in FIRST if name in shared]
    courses = [name for name in wanted if all(found[name] > 1 for found in lengths)]
    return (courses or wanted or shared)[0]


def _points(log: Log, figure: str) -> int:
    found = curve(log.label, log.events, figure)
    return len(found.values) if found is not None else 0


def tokenizer_digest(run: RunFolder, stage: StageFolder) -> str | None:
    """The hash of the tokenizer that a stage trains with: in its own folder, or in that of a stage that it needs."""
    folders, seen = [stage.folder], set()
    while folders:
        folder = folders.pop(0)
        if folder in seen:
            continue
        seen.add(folder)
        if (folder / TOKENIZER).is_file():
            return digest(folder / TOKENIZER)
        needs = StageFolder(folder.name, folder, None).begun["needs"] or {}
        folders += [run.folder / name for name in needs]
    return None


def _notes(logs: Sequence[Log], figure: str) -> list[str]:
    """What keeps these curves from saying which is better."""
    notes = []
    stages = sorted({re.sub(r"-\d+$", "", log.stage) if ".old/" in log.label else log.stage for log in logs})
    if len(stages) > 1:
        notes.append(f"these are different stages: {', '.join(stages)}")
    if (
        figure.removeprefix(VALIDATION) == "loss"
        and len({log.tokenizer for log in logs if log.tokenizer}) > 1
    ):
        notes.append(
            "their tokenizers differ, and a loss is nats a token: only bits per byte compare these "
            "(`--figure bits_per_byte`)"
        )
    if figure.removeprefix(VALIDATION) == "loss" and any(log.tokenizer is None for log in logs):
        unknown = ", ".join(f"`{log.label}`" for log in logs if log.tokenizer is None)
        notes.append(
            f"the tokenizer of {unknown} is not found: losses compare only where tokenizers are the same"
        )
    return notes
