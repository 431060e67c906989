"""`report`: what the other stages left -> `report.html` and `report.md`: results, curves, card, samples, lineage.

Made from results and logs alone, so `nanogen report RUN` makes it again at any time, of a run that is not done too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from runtime.atomic import write_bytes
from stages.choices import setting
from stages.reporting.page import Section, as_html, as_markdown
from stages.work import Input

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from stages.runfile.load import Run
    from stages.work import Work

READS = ()
PUBLISHED = ("report.html", "report.md")
VERSION = 2
MODEL = False
SEED = False


@frozen
class Settings:
    title: str | None = setting("the page's title; unsaid, the run's name", default=None)


def run(work: Work) -> None:
    settings: Settings = work.settings
    sections = gather(work.inputs, work.compiled)
    write_report(work.folder, settings.title or work.run, sections)
    work.tell.line(f"{len(sections)} sections in {work.folder.parent / PUBLISHED[0]}")
    work.finish({"sections": [s.title for s in sections]})


def report_again(run: Run, folder: Path) -> list[Section]:
    """Write the report of a run into its folder from what its stages have left so far; returns its sections."""
    stages = [stage for stage in run.stages if stage.uses != "report"]
    titles = [stage.settings.title for stage in run.stages if stage.uses == "report"]
    inputs = [Input(stage.name, stage.uses, folder / stage.name) for stage in stages]
    sections = gather([found for found in inputs if found.folder.is_dir()], run.compiled)
    write_report(folder, next(filter(None, titles), run.name), sections)
    return sections


def write_report(folder: Path, title: str, sections: list[Section]) -> None:
    for name, text in zip(PUBLISHED, (as_html(title, sections), as_markdown(title, sections)), strict=True):
        write_bytes(folder / name, text.encode())


def gather(inputs: Sequence[Input], compiled: Compiled | None) -> list[Section]:
    """The sections that the inputs can fill, in the order in which people ask."""
    from nanogen.views.card import card
    from runtime import optimizer_memory
    from stages.reporting.scaling import scaling
    from stages.reporting.sections import (
        EVALUATIONS,
        TRAINING,
        environment,
        evaluation,
        lineage,
        sources,
        training,
    )
    from stages.reporting.table import results

    trained = [found for found in inputs if found.kind in TRAINING]
    kinds = [found.kind for found in trained]
    sections = [section for section in (results(inputs), scaling(inputs)) if section is not None]
    sections += [training(found, alone=kinds.count(found.kind) == 1) for found in trained]
    if compiled is not None:
        sections.append(Section("Model", text=card(compiled, optimizer_memory)))
    done = [found for found in inputs if found.done]
    sections += [evaluation(found) for found in done if found.kind in EVALUATIONS]
    sections += sources(done)
    sections += [environment(found) for found in trained[:1] if found.done]
    if inputs:
        sections.append(lineage(inputs))
    return sections
