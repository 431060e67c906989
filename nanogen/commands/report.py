"""`nanogen report`: the report of a run again, from what its stages have left so far."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import runs_option
from nanogen.shelf import find


@click.command("report")
@click.argument("run")
@runs_option
def command(run: str, runs: Path) -> None:
    """Write the report of RUN, a TOML file or the name of one that ships, from its results and logs alone.

    The run may be done, at work, or cut off: what is there is shown.

    \b
    nanogen report quickstart
    """
    from runtime.faults import Fault
    from stages.report import PUBLISHED, report_again
    from stages.runfile.load import load_run

    loaded = load_run(find(run, "run"))
    folder = runs / loaded.name
    if not folder.is_dir():
        raise Fault(f"there is no run in `{folder}` yet", f"begin it: `nanogen run {run}`")
    for section in report_again(loaded, folder):
        click.echo(f"  {section.title}")
    click.echo(f"report: {folder / PUBLISHED[0]}")
