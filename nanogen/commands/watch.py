"""`nanogen watch`: a run as it works, in the terminal; or as it stands, as text. No torch."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import runs_option


@click.command("watch")
@click.argument("run")
@runs_option
@click.option(
    "--once", is_flag=True, help="Print how it stands now, and leave; so it is where nothing can be drawn."
)
@click.option(
    "--hardware",
    metavar="FILE",
    help="Take the peak that MFU is a share of from here: h100x8, or a file; unsaid, from the file that lists the device.",
)
def command(run: str, runs: Path, once: bool, hardware: str | None) -> None:
    """Watch RUN: its name, its folder or its run file. It may be at work in another process, done, or cut off.

    Nothing is written and nothing is locked: the run does not notice. `q` leaves.

    \b
    nanogen watch quickstart
    nanogen watch quickstart --once
    nanogen watch quickstart --hardware h100x8
    """
    from rich.console import Console

    from stages.logs.run_folder import find_run
    from stages.watching.screen import plain
    from stages.watching.watch import Watch

    if hardware is not None:
        from nanogen.planning.hardware import load_hardware
        from nanogen.shelf import find

        load_hardware(find(hardware, "hardware"), hardware)  # its faults are told before anything is drawn
    watch = Watch(find_run(run, runs), hardware)
    console = Console(highlight=False)
    if once or not console.is_terminal:
        click.echo(plain(watch.look(), 100 if not console.is_terminal else console.width))
        return
    from stages.watching.live import live

    live(watch, console)
