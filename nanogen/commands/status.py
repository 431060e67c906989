"""`nanogen status`: what stands of a run, and why anything is stale. Changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nanogen.commands.options import runs_option
from nanogen.commands.stages import load_asked, rehearsal_option, show_rows


@click.command("status")
@click.argument("run")
@runs_option
@rehearsal_option
@click.option("--json", "as_json", is_flag=True, help="One JSON list for programs.")
def command(run: str, runs: Path, rehearse: bool, as_json: bool) -> None:
    """Show what stands of RUN: each stage done, stale and why, cut off and where, set aside, or missing.

    A stage is stale when something that can change its result is no longer what it was made from; the reason names
    the setting, the old value and the new one, and the line where it stands. Nothing is changed.

    \b
    nanogen status quickstart
    nanogen status quickstart --rehearse
    """
    from stages.running import listing
    from stages.running.lock import at_work
    from stages.running.survey import STALE, survey

    loaded = load_asked(run, runs, rehearse=rehearse)
    folder = runs / loaded.name
    found = survey(loaded, folder)
    if as_json:
        click.echo(json.dumps(listing.as_json(found), indent=2))
        return
    process = at_work(folder)
    click.echo(f"{loaded.name} in {folder}" + (f"; process {process} is at work on it" if process else ""))
    show_rows(listing.rows(found, at_work=process is not None))
    if any(one.state == STALE for one in found):
        click.echo("stale results are set aside when they are made again; `nanogen clean` removes them")
