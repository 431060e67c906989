"""`nanogen run`: a run file from start to end, going on where it was."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import show
from nanogen.shelf import find


@click.command("run")
@click.argument("run")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Keep runs in this folder.",
)
def command(run: str, runs: Path) -> None:
    """Run RUN, a TOML file or the name of one that ships.

    What is done is skipped, what was cut off goes on from its last save, what changed is done again; results
    stand in runs/NAME, one folder a stage.

    \b
    nanogen run quickstart
    nanogen run my_run.toml --runs /data/runs
    """
    from stages.load import load_run

    loaded = load_run(find(run, "run"))
    show(loaded.document, list(loaded.warnings))
    from stages.progress import Reporter
    from stages.runner import execute

    tell = Reporter()
    if loaded.compiled is not None:
        from nanogen.lowering import prove
        from nanogen.views.card import card
        from runtime import optimizer_memory

        prove(loaded.compiled)
        tell.block(card(loaded.compiled, optimizer_memory))
        tell.line()
    folder = execute(loaded, runs, tell)
    report = folder / "report.html"
    if report.is_file():
        tell.line(f"report: {report}")
    if any(s.uses == "pretrain" for s in loaded.stages):
        where = "" if str(runs) == "runs" else f" --runs {runs}"
        for command in ("sample", "chat", "serve"):
            tell.line(f"{command + ':':<7} nanogen {command} {run}{where}")
