"""`nanogen fetch`: all data that a run needs, before it starts; each file whole and verified, or named as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nanogen.commands.faults import show
from nanogen.shelf import find

if TYPE_CHECKING:
    from stages.progress import Reporter
    from stages.runfile.load import Run


@click.command("fetch")
@click.argument("run")
@click.option(
    "--dry-run", is_flag=True, help="List the files with their sizes and the disk they need; get nothing."
)
@click.option("--offline", is_flag=True, help="List what is here and what is missing without the network.")
@click.option(
    "--verify", is_flag=True, help="Hash every file that was fetched again, and get those that differ."
)
def command(run: str, dry_run: bool, offline: bool, verify: bool) -> None:
    """Get all data that RUN needs into the folder NANOGEN_DATA (unset: ~/.cache/nanogen/data).

    Shards, rows of tasks, word lists, CORE's bundle, encodings to compare with. What is here is skipped, what was cut off
    goes on, what arrives is held against its hash; then the run itself needs no network. HF_ENDPOINT and HF_TOKEN
    are heeded. Exit code 1 says that something is missing: its name, and why.

    \b
    nanogen fetch speedrun_h100 --dry-run
    nanogen fetch speedrun_h100
    nanogen fetch my_run.toml --verify
    """
    from stages.data.offline import go_offline
    from stages.progress import Reporter
    from stages.runfile.load import load_run

    if offline:
        go_offline()
    loaded = load_run(find(run, "run"), looking=False)
    show(loaded.document, list(loaded.warnings))
    tell = Reporter()
    if verify:
        _verify(tell, discard=not (dry_run or offline))
    if dry_run or offline:
        _list(loaded, run, tell, offline)
    else:
        _get(loaded, run, tell)


def _verify(tell: Reporter, *, discard: bool) -> None:
    from stages.data.fetch import verify
    from stages.data.place import data_folder

    count, wrong = verify(data_folder(), discard=discard)
    for line in wrong:
        tell.line(line)
    tell.line(f"{count - len(wrong)} of {count} fetched files are what they were when they came")


def _list(run: Run, named: str, tell: Reporter, offline: bool) -> None:
    from stages.data.fetch import table, totals
    from stages.data.place import data_folder
    from stages.data.plan import HERE, Planner
    from stages.data.web import Patience
    from stages.preflight.fetching import absent, wanted_of

    wanted, top = wanted_of(run), data_folder()
    items = Planner(top, Patience(tries=3)).plan(wanted.needs)
    for line in table(items):
        tell.line(line)
    tell.line(totals(items, top))
    if wanted.faults:
        raise wanted.faults[0]
    missing = [item for item in items if item.state != HERE]
    if offline and missing:
        raise absent(missing, named)


def _get(run: Run, named: str, tell: Reporter) -> None:
    from stages.data.place import data_folder
    from stages.preflight.fetching import fetch_run

    items = fetch_run(run, tell)
    tell.line(f"all {len(items)} files that it needs are here, in {data_folder()}")
    tell.line(f"the run needs no network now: nanogen run {named}")
