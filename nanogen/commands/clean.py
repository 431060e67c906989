"""`nanogen clean`: remove what a run keeps and no longer asks for."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import runs_option
from nanogen.commands.stages import load_asked, rehearsal_option


@click.command("clean")
@click.argument("run")
@runs_option
@rehearsal_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(run: str, runs: Path, rehearse: bool, yes: bool) -> None:
    """Remove the old results of RUN: those set aside, stale ones, broken saves. What is fresh stays.

    \b
    nanogen clean quickstart
    """
    from nanogen.views.figures import bytes_text, columns
    from runtime.faults import Fault
    from stages.running.lock import alone
    from stages.running.old import litter, remove
    from stages.running.survey import survey

    loaded = load_asked(run, runs, rehearse=rehearse)
    folder = runs / loaded.name
    if not folder.is_dir():
        raise Fault(f"there is no run in `{folder}`", f"begin it: `nanogen run {run}`")
    with alone(folder):
        found = list(litter(folder, survey(loaded, folder)))
        if not found:
            click.echo(f"`{folder}` keeps nothing that the run does not ask for")
            return
        sizes = {item.path: item.bytes for item in found}
        click.echo(columns([(str(i.path), bytes_text(sizes[i.path]), i.what) for i in found], right=False))
        if not yes:
            click.confirm(f"remove these, {bytes_text(sum(sizes.values()))}?", abort=True)
        for item in found:
            remove(item)
        click.echo(f"{bytes_text(sum(sizes.values()))} removed")
