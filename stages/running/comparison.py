"""Hold two folders of one run against each other, bit for bit: weights, logs, results, and the report made of them.

What clocks measured is left out: times and speeds, which no two runs share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from runtime.clock import PREFIX
from runtime.manifest import NAME, read_manifest
from stages.report import as_html, gather
from stages.runfile.load import Run, Stage
from stages.running.survey import WORK
from stages.work import SAVES, Input

OF_CLOCKS = ("finished", "seconds")  # of a manifest


@frozen
class Difference:
    stage: str
    file: str
    what: str

    def __str__(self) -> str:
        return f"`{self.stage}/{self.file}`: {self.what}"


def differences(run: Run, one: Path, other: Path) -> list[Difference]:
    """All that differs between two folders of a run that is done."""
    found = [d for stage in run.stages for d in _of_stage(stage, one / stage.name, other / stage.name)]
    if report_without_clocks(run, one) != report_without_clocks(run, other):
        found.append(Difference("report", "report.html", "another report, with all clocks at 1"))
    return found


def files_of(stage: Stage, folder: Path) -> dict[str, Path]:
    """The files of a stage that are to be equal, by name."""
    pages = getattr(stage.kind, "PUBLISHED", ())  # made of times too; compared without them
    names = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    left_out = (NAME, WORK, *pages)
    return {
        name: path
        for name, path in names.items()
        if name not in left_out and not name.startswith((PREFIX, f"{SAVES}/"))
    }


def _of_stage(stage: Stage, one: Path, other: Path) -> Iterator[Difference]:
    ours, theirs = files_of(stage, one), files_of(stage, other)
    for name in sorted(ours.keys() ^ theirs.keys()):
        yield Difference(stage.name, name, "only one of the two has it")
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name].read_bytes() != theirs[name].read_bytes():
            yield Difference(stage.name, name, _how(ours[name], theirs[name]))
    if _facts(one) != _facts(other):
        yield Difference(stage.name, NAME, "another manifest")


def _facts(folder: Path) -> Any:
    """What a manifest says of how a stage was made, without its files, which are compared themselves."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    kept = ("identity", "run", "stage", "uses", "needs", "facts", "allowed")
    return {key: manifest.get(key) for key in kept}


def _how(one: Path, other: Path) -> str:
    if one.suffix == ".safetensors":
        return _tensors(one, other)
    if one.suffix == ".jsonl":
        return _lines(one.read_text().splitlines(), other.read_text().splitlines())
    return f"{one.stat().st_size:,} and {other.stat().st_size:,} bytes, and not the same"


def _tensors(one: Path, other: Path) -> str:
    from safetensors.torch import load_file

    ours, theirs = load_file(one), load_file(other)
    if ours.keys() != theirs.keys():
        return "other tensors"
    gaps = {n: float((ours[n].double() - theirs[n].double()).abs().max()) for n in ours if ours[n].numel()}
    name = max(gaps, key=gaps.__getitem__)
    return f"`{name}` differs by up to {gaps[name]:.3g}"


def _lines(ours: list[str], theirs: list[str]) -> str:
    for number, (mine, yours) in enumerate(zip(ours, theirs, strict=False), 1):
        if mine != yours:
            return f"line {number} differs: {json.dumps(mine)[:120]} and {json.dumps(yours)[:120]}"
    return f"{len(ours):,} and {len(theirs):,} lines"


def report_without_clocks(run: Run, folder: Path) -> str:
    """The run's report as if every clock had measured 1."""
    stages = [stage for stage in run.stages if stage.uses != "report"]
    inputs = [Input(stage.name, stage.uses, folder / stage.name, timed=False) for stage in stages]
    return as_html(run.name, gather([found for found in inputs if found.folder.is_dir()], run.compiled))
