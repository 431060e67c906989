"""`nanogen run`: a run file from start to end, going on where it was; or its rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nanogen.commands.faults import show
from nanogen.shelf import find

if TYPE_CHECKING:
    from stages.load import Run
    from stages.progress import Reporter


@click.command("run")
@click.argument("run")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Keep runs in this folder.",
)
@click.option("--rehearse", is_flag=True, help="Go through every stage with a small model and little data.")
def command(run: str, runs: Path, rehearse: bool) -> None:
    """Run RUN, a TOML file or the name of one that ships.

    What is done is skipped, what was cut off goes on from its last save, what changed is done again; results
    stand in runs/NAME, one folder a stage.

    With --rehearse the same stages run from start to report in a minute or so, into runs/NAME-rehearsal: a model with
    the dims of `[rehearse]`, a few steps and rows, and made-up data for what is not here. Nothing is fetched.

    \b
    nanogen run quickstart
    nanogen run my_run.toml --runs /data/runs
    nanogen run speedrun_h100 --rehearse
    """
    from stages.data.stand_in import write_stand_ins
    from stages.load import load_run

    stand_ins = write_stand_ins(runs / ".stand_ins") if rehearse else None
    loaded = load_run(find(run, "run"), stand_ins=stand_ins)
    show(loaded.document, list(loaded.warnings))
    from stages.progress import Reporter
    from stages.runner import execute

    tell = Reporter()
    _introduce(loaded, tell)
    if rehearse and loaded.compiled is not None and "rehearse" not in loaded.document.data:
        tell.line("the run has no table `[rehearse]` of small dims: its model is rehearsed as large as it is")
    folder = execute(loaded, runs, tell)
    report = folder / "report.html"
    if report.is_file():
        tell.line(f"report: {report}")
    where = "" if str(runs) == "runs" else f" --runs {runs}"
    if rehearse:
        tell.line(f"that was the rehearsal; the run itself: nanogen run {run}{where}")
    elif any(s.uses == "pretrain" for s in loaded.stages):
        for command in ("sample", "chat", "serve"):
            tell.line(f"{command + ':':<7} nanogen {command} {run}{where}")


def _introduce(run: Run, tell: Reporter) -> None:
    """The card of the run's model; every model of its stages is proven to be what its source builds."""
    if run.compiled is None:
        return
    from nanogen.lowering import prove
    from nanogen.views.card import card
    from runtime import optimizer_memory

    for compiled in {id(s.compiled): s.compiled for s in run.stages if s.compiled is not None}.values():
        prove(compiled)
    tell.block(card(run.compiled, optimizer_memory))
    tell.line()
