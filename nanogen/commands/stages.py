"""What commands about a run's stages share: the run or its rehearsal, and the table of what stands of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nanogen.shelf import find

if TYPE_CHECKING:
    from stages.runfile.load import Run
    from stages.running.listing import Row

STYLES = {"done": "green", "stale": "yellow", "cut off": "cyan", "at work": "cyan", "set aside": "blue"}
HEADS = ("stage", "kind", "state", "size", "time", "finished (UTC)")

rehearsal_option = click.option("--rehearse", is_flag=True, help="Of the run's rehearsal.")


def load_asked(run: str, runs: Path, *, rehearse: bool) -> Run:
    """The run of a name or file, or its rehearsal; raises Refusal with every fault."""
    from stages.runfile.load import load_run

    if not rehearse:
        return load_run(find(run, "run"))
    from stages.data.stand_in import write_stand_ins

    return load_run(find(run, "run"), stand_ins=write_stand_ins(runs / ".stand_ins"))


def show_rows(rows: Sequence[Row], actions: dict[str, str] | None = None) -> None:
    """A line a stage, and its reasons below it."""
    from nanogen.views.figures import columns

    heads = (*HEADS, *(("would",) if actions else ()))
    cells = [
        (r.name, r.kind, r.state, r.size, r.time, r.finished, *((actions[r.name],) if actions else ()))
        for r in rows
    ]
    head, *lines = columns([heads, *cells], right=False).split("\n")
    click.secho(head, bold=True)
    before = max(len(r.name) for r in rows) + 2
    for row, line in zip(rows, lines, strict=True):
        colour = next((c for state, c in STYLES.items() if row.state.startswith(state)), None)
        at = line.index(row.state, before)
        end = at + len(row.state)
        click.echo(line[:at] + click.style(row.state, fg=colour) + line[end:])
        for reason in row.why:
            click.secho(f"  because {reason}", dim=True)
