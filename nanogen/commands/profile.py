"""`nanogen profile`: where a step of a run's stage spends its time, and how far that is from what the device can do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from nanogen.commands.options import runs_option
from nanogen.commands.stages import load_asked, rehearsal_option

TABLE = "table.json"


@click.command("profile")
@click.argument("run")
@runs_option
@rehearsal_option
@click.option("--stage", help="Profile this stage; unsaid, the first that trains.")
@click.option("--steps", type=click.IntRange(1, 1000), default=5, show_default=True, help="Profile so many.")
@click.option(
    "--how",
    type=click.Choice(["both", "eager", "compiled"]),
    default="both",
    show_default=True,
    help="Compute eagerly, by compiled regions, or one after the other.",
)
@click.option(
    "--on", metavar="HARDWARE", help="Take peak and bandwidth from this hardware file, as in h100x8."
)
@click.option(
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write traces here; unsaid, profiles/RUN/STAGE.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
def command(
    run: str,
    runs: Path,
    rehearse: bool,
    stage: str | None,
    steps: int,
    how: str,
    on: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Profile real steps of a stage of RUN, from its start, on what its earlier stages have made.

    A table says where a step's time goes: by kind of layer and what its equations call, head and loss, optimizer and
    loader, forward and backward apart; and of the layers, how near they are to the roofline of a device whose peak is
    known. Compiled regions are one line each. Nothing of the run's folder changes.

    Traces open in Perfetto (ui.perfetto.dev), and as a whole folder in TensorBoard: `pip install 'nanogen[profile]'`,
    then `tensorboard --logdir FOLDER`.

    \b
    nanogen profile quickstart
    nanogen profile my_run --stage sft --steps 10 -o traces
    nanogen profile speedrun_h100 --rehearse --how eager
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else torch's profiler writes about itself
    from rich.console import Console

    from stages.profiling.drawing import draw, heading
    from stages.profiling.profile import WAYS, Wanted, find_stage, profile
    from stages.progress import Reporter

    if on is not None:
        from nanogen.planning.hardware import load_hardware
        from nanogen.shelf import find

        load_hardware(find(on, "hardware"), on)
    loaded = load_asked(run, runs, rehearse=rehearse)
    chosen = find_stage(loaded, stage)
    into = folder or Path("profiles") / loaded.name / chosen.name
    wanted = Wanted(steps, into, WAYS if how == "both" else (how,), on)
    tell = Reporter(Console(stderr=True, highlight=False))
    tables = profile(loaded, chosen, runs / loaded.name, wanted, tell)
    into.mkdir(parents=True, exist_ok=True)
    plainly = [table.plainly() for table in tables]
    (into / TABLE).write_text(json.dumps(plainly, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(plainly))
        return
    console = Console(highlight=False)
    for table in tables:
        console.print(heading(table), markup=False, style="bold")
        console.print(draw(table))
    console.print(
        f"traces and {TABLE} in {into}: open one at ui.perfetto.dev, or `tensorboard --logdir {into}`",
        markup=False,
    )
