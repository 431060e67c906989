"""`nanogen track`: a run's log to a tracker, afterwards or while it grows. No torch."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import runs_option
from stages.tracking.sink import SINKS

SINK = click.Choice(list(SINKS))


@click.command("track")
@click.argument("run")
@runs_option
@click.option(
    "--to", "names", type=SINK, multiple=True, required=True, help="Send it there. May be repeated."
)
@click.option("--offline", is_flag=True, help="Open no socket: what goes over a network is left in a folder.")
def command(run: str, runs: Path, names: tuple[str, ...], offline: bool) -> None:
    """Send the log of RUN to a tracker: its name, its folder or its run file. While it is at work, so is this.

    What was sent is never sent again, so it may be called at any time. `nanogen run RUN --track tensorboard` does the
    same as the run goes.

    \b
    nanogen track quickstart --to tensorboard
    nanogen track quickstart --to wandb --offline
    """
    from stages.logs.run_folder import find_run
    from stages.tracking.send import send

    for line in send(find_run(run, runs), tuple(dict.fromkeys(names)), offline=offline):
        click.echo(line)
