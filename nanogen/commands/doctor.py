"""`nanogen doctor`: what this machine computes with, what it lacks, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nanogen.commands.options import runs_option

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "missing": ("✗", "red"), "not tried": ("·", "dim")}


@click.command("doctor")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, one a line.")
def command(runs: Path, as_json: bool) -> int:
    """Look at this machine: device, driver, kernels, compilers, threads, memory, disks, sandbox.

    Each finding is ok, a warning, missing, or was not tried, with what to do about it. Nothing is changed and nothing
    is asked of the network. Exit code 1 where something is missing that the runs that ship need on a CPU.

    \b
    nanogen doctor
    nanogen doctor --runs /data/runs --json
    """
    from stages.doctor.examine import examine

    found = []
    for one in examine(runs):
        found.append(one)
        if as_json:
            click.echo(json.dumps(one.plain()))
    if not as_json:
        _draw(found)
    return int(any(one.stops for one in found))


def _draw(found: list) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, grid = Console(highlight=False), Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for one in found:
        mark, colour = MARKS[one.state]
        said = Text(one.said, style="dim" if one.state == "not tried" else "")
        if one.help:
            said.append(f"\n→ {one.help}", style=colour if one.state != "not tried" else "dim")
        grid.add_row(Text(mark, style=f"bold {colour}"), Text(one.about, style="bold"), said)
    console.print(grid)
    counts = {state: sum(one.state == state for one in found) for state in MARKS}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    stops = [one.about for one in found if one.stops]
    console.print(f"\n{told}" + (f": no run works without {', '.join(stops)}" if stops else ""), markup=False)
