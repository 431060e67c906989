"""Hold a run to the machine before any of it starts: folder, disk, memory, data, tokens, prompts.

    found = preflight(run, runs / run.name, ["base", "sft"])     # of the stages that will run
    warnings = refuse(run, runs / run.name, ["base", "sft"])     # the same; raises Refusal where anything is in the way

What the run file alone says is checked as it is loaded (`stages/runfile/load.py`). Imports no torch and writes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast

from nanogen.text.diagnostics import Diagnostic, Findings, Place, Refusal
from nanogen.text.document import Document, Origin
from nanogen.views.figures import bytes_text
from runtime.capacity import Capacity
from runtime.manifest import read_manifest
from stages.planning.proposals import changes
from stages.preflight.data import check_data
from stages.runfile.load import Run, Stage
from stages.runfile.machine import here
from stages.training.fitting import fits
from stages.training.float8 import refusal
from stages.training.footprint import Footprint, MicroBatch, together
from stages.work import SAVES

SPARE = 2**26  # bytes of a disk that logs, reports and corpora's lists take


def refuse(run: Run, folder: Path, stages: Collection[str], *, ranks: int = 1) -> list[Diagnostic]:
    """The warnings of a preflight; raises Refusal where a stage could not be run to its end by so many ranks."""
    found = preflight(run, folder, stages, on=here(run.hardware, ranks))
    if any(d.severity == "error" for d in found):
        raise Refusal(found, run.document)
    return found


def undone(run: Run, folder: Path) -> list[str]:
    """The stages that have left no result in the run's folder; of what is stale nothing is known here."""
    return [stage.name for stage in run.stages if read_manifest(folder / stage.name) is None]


def preflight(
    run: Run,
    folder: Path,
    stages: Collection[str],
    *,
    on: Capacity | None = None,
    free: int | None = None,
) -> list[Diagnostic]:
    """All that stands in the way of some stages of a run, or may not be meant, the folder being where it will stand.

    Unsaid, `on` is this machine and `free` what its disk has.
    """
    findings, chosen = Findings(), [stage for stage in run.stages if stage.name in stages]
    if not chosen:
        return []
    on = on or here(run.hardware)
    findings.extend(_folder(folder))
    trained = [s for s in chosen if hasattr(s.kind, "micro_batch") and s.compiled is not None]
    findings.extend(_models(trained, on))
    if not findings.errors:
        findings.extend(_disk(chosen, folder, free))
    for stage in trained:
        findings.extend(_compiler(stage, on))
        findings.extend(_float8(stage, on))
    for stage in chosen:
        findings.extend(check_data(run, stage, folder))
    return findings.all


def _at(stage: Stage, *keys: str | int) -> Place:
    return Place(("stage", stage.name, *(("with", *keys) if keys else ())))


# -- the folder and its disk


def _there(folder: Path) -> Path:
    """The folder, or what there is of the way to it."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))


def _folder(folder: Path) -> Iterator[Diagnostic]:
    there, nowhere = (
        _there(folder),
        Place((Origin(Document(str(folder), "", {})),)),
    )  # no line of the run file
    if not there.is_dir():
        message = f"the run would stand in `{folder}`, and `{there}` is no folder"
        yield Diagnostic("NG705", message, nowhere, help="name another one with `--runs`")
    elif not os.access(there, os.W_OK | os.X_OK):
        message = f"the run would stand in `{folder}`, and nothing may be written in `{there}`"
        help = "change who may write there, or name another folder with `--runs`"
        yield Diagnostic("NG705", message, nowhere, help=help)


def _disk(stages: Collection[Stage], folder: Path, free: int | None) -> Iterator[Diagnostic]:
    """All that stays, and the most that is there beside it, have to fit; the stage that takes most is told.

    Saves of a stage that was cut off lie there already.
    """
    there = _there(folder)
    kinds: dict[str, Any] = {s.name: s.kind for s in stages if hasattr(s.kind, "disk")}
    taken = {s.name: kinds[s.name].disk(s.settings, s.compiled) for s in stages if s.name in kinds}
    if not taken:
        return
    left = shutil.disk_usage(there).free if free is None else free
    whole = together(taken.values())
    saved = sum(
        path.stat().st_size for name in taken for path in (folder / name / SAVES).rglob("*.safetensors")
    )
    needed = whole.kept + max(0, whole.passing - saved) + SPARE
    if needed > left:
        most = max(taken, key=lambda name: _all(taken[name]))
        message = (
            f"the run writes up to {bytes_text(needed)}, {bytes_text(_all(taken[most]))} of it for `{most}`, "
            f"and {bytes_text(left)} are free in `{there}`"
        )
        help = "make room, or name a folder on another disk with `--runs`"
        yield Diagnostic("NG705", message, Place(("stage", most)), help=help)


def _all(found: Footprint) -> int:
    return found.kept + found.passing


# -- memory and what computes


def _models(stages: Collection[Stage], on: Capacity) -> Iterator[Diagnostic]:
    """Each step held to the memory; a model that cannot be held is told once, at the first stage that trains it."""
    told = set()
    for stage in stages:
        for found in _memory(stage, on) if id(stage.compiled) not in told else ():
            if found.severity == "error":
                told.add(id(stage.compiled))
            yield found


def _memory(stage: Stage, on: Capacity) -> Iterator[Diagnostic]:
    """Where weights and what the optimizer keeps do not fit, no batch is small enough; else a smaller one may be."""
    settings, compiled, kind = stage.settings, stage.compiled, cast(Any, stage.kind)
    assert compiled is not None, stage.name
    step: MicroBatch = kind.micro_batch(settings, compiled, on)
    found = step.ledger(compiled, on.bytes_of(settings.dtype))
    where = f"this {'GPU' if on.device == 'cuda' else 'machine'} has {bytes_text(on.memory)} of memory"
    fixed = found.weights + found.optimizer
    if fixed > on.memory:
        message = f"the weights of `{stage.name}` and what its optimizer keeps take {bytes_text(fixed)}, and {where}"
        help = "`[set]` smaller dims, or train it on a larger machine"
        yield Diagnostic("NG705", message, _at(stage), help=help)
    elif not fits(compiled, step, settings.dtype, on):
        rows, length = step.load.rows, step.load.tokens
        message = f"a step of `{stage.name}` takes up to {bytes_text(found.total)} at {rows} rows of {length:,}, and {where}"
        help = (
            "; or ".join(map(str, changes(stage, on))) or "train it on a larger machine: no smaller one fits"
        )
        yield Diagnostic("NG706", message, _at(stage), help=help)


def _compiler(stage: Stage, on: Capacity) -> Iterator[Diagnostic]:
    if on.device == "cpu" and not on.compiler and getattr(stage.settings, "compile", "no") == "yes":
        message = f"`{stage.name}` is to be compiled, and this machine has no C++ compiler"
        help = 'install one, such as `g++`, or leave `compile` at "auto"'
        yield Diagnostic("NG705", message, _at(stage, "compile"), help=help)


def _float8(stage: Stage, on: Capacity) -> Iterator[Diagnostic]:
    fault = refusal(stage.name, stage.settings.float8, on)
    if fault is not None:
        yield Diagnostic("NG705", fault.message, _at(stage, "float8"), help=fault.help)
