"""`nanogen plan`: what a run takes before it is run: time, money, memory, disk. No torch."""

from __future__ import annotations

import json

import click

from nanogen.commands.faults import show
from nanogen.shelf import find


def _bytes(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from nanogen.structure import as_count

    try:
        return as_count(value)
    except ValueError:
        raise click.BadParameter(f"`{value}` is not a number of bytes: `--memory 12G`") from None


@click.command("plan")
@click.argument("run")
@click.option(
    "--on", "hardware", metavar="HARDWARE", help="Plan for this hardware: h100x8, rtx4090, cpu, or a file."
)
@click.option("--memory", metavar="BYTES", callback=_bytes, help="As if each device had so much memory: 12G.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
def command(run: str, hardware: str | None, memory: int | None, as_json: bool) -> None:
    """Say what RUN will take: FLOPs, steps, micro-batches, memory by line, disk, hours, dollars and kWh.

    It is planned for the hardware of `--on`, or else what the run file names as `hardware`, or this machine, and on
    this machine `nanogen run` does just what is shown. The batch of a step and its schedule never change with the
    hardware: only how a batch is cut. What does not fit is told, with what to write so that it does.

    \b
    nanogen plan quickstart
    nanogen plan speedrun_nanochat_2025 --on h100x8
    nanogen plan speedrun_nanochat_2025 --on rtx4090 --memory 12G
    """
    from stages.planning.plan import make_plan
    from stages.planning.target import target
    from stages.runfile.load import load_run

    loaded = load_run(find(run, "run"), looking=False)
    show(loaded.document, list(loaded.warnings))
    plan = make_plan(loaded, target(loaded, hardware, memory))
    if as_json:
        from stages.planning.drawing import record

        click.echo(json.dumps(record(plan), indent=2))
        return
    from stages.planning.drawing import drawn

    click.echo(drawn(plan))
