"""Where a run is computed: here by this process, here by several, or on the machines of a queue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from nanogen.planning.hardware import Hardware, load_hardware
from nanogen.shelf import find

FLAGS = ("rehearse", "offline", "allow_data_change")
REPEATED = ("only", "track")


def options(command: Any) -> Any:
    """The options that say where: `--ranks`, `--on` and `--submit`."""
    for made in (
        click.option(
            "--submit", is_flag=True, help="With --on a queue's machines: submit the batch file as well."
        ),
        click.option(
            "--on",
            metavar="HARDWARE",
            help="Compute on this hardware, a name or a file: by as many ranks, or as a job of its queue.",
        ),
        click.option(
            "--ranks",
            type=click.IntRange(1, 1024),
            help="Train by so many processes of this machine, a GPU each; results are those of one.",
        ),
    ):
        command = made(command)
    return command


@frozen
class Where:
    """What was asked for; `arguments` are those of the command without it."""

    ranks: int | None
    on: str | None
    submit: bool
    run: Path
    runs: Path
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "nanogen", *self.arguments]

    @property
    def name(self) -> str:
        return self.run.stem


def where_of(context: click.Context) -> Where:
    """What the options of a command say."""
    given = context.params
    return Where(
        given["ranks"],
        given["on"],
        given["submit"],
        find(given["run"], "run"),
        given["runs"],
        tuple(_arguments(given)),
    )


def _arguments(given: dict[str, Any]) -> list[str]:
    """The same command, to be given to each rank."""
    found = ["run", given["run"], "--runs", str(given["runs"])]
    found += [f"--{name.replace('_', '-')}" for name in FLAGS if given[name]]
    found += ["--from", given["begin"]] if given["begin"] is not None else []
    for name in REPEATED:
        for value in given[name]:
            found += [f"--{name}", value]
    return found


def elsewhere(where: Where, jobs: int) -> int | None:
    """Start the run where it was asked for; returns the exit code, or None where this process is to do it itself."""
    from runtime.faults import Fault
    from runtime.ranks import launched

    hardware = load_hardware(find(where.on, "hardware")) if where.on is not None else None
    if where.submit and (hardware is None or hardware.launcher != "slurm"):
        raise Fault(
            "`--submit` is for machines of a queue", 'name hardware with `launcher = "slurm"` by `--on`'
        )
    if launched():
        _refuse_jobs(jobs)
        return None
    if hardware is not None and hardware.launcher == "slurm":
        return _queued(where, hardware)
    count = where.ranks or _ranks_of(where, hardware)
    if count == 1:
        return None
    _refuse_jobs(jobs)
    from stages.running.launching import launch

    return launch(where.command, count)


def _refuse_jobs(jobs: int) -> None:
    from runtime.faults import Fault

    if jobs > 1:
        raise Fault("`--jobs` and several ranks both share this machine out", "give one of the two")


def _ranks_of(where: Where, hardware: Hardware | None) -> int:
    from runtime.faults import Fault

    if hardware is None or hardware.launcher == "inline":
        return 1
    if hardware.machines > 1:
        message = f"`{where.on}` is {hardware.machines} machines, and this is one"
        raise Fault(message, 'start it by torchrun on each of them, or write `launcher = "slurm"`')
    return hardware.count


def _queued(where: Where, hardware: Hardware) -> int:
    """Write the batch file, and submit it where that was asked for."""
    from stages.running.slurm import script, submit, write_script

    folder = where.runs / where.name
    path = folder / "job.sbatch"
    output = (folder / "job.log").resolve()
    text = script(where.command, hardware, name=where.name, folder=Path.cwd(), output=output)
    write_script(path, text)
    click.echo(f"batch file: {path}")
    click.echo(submit(path) if where.submit else f"submit it with `sbatch {path}`, or with `--submit`")
    return 0
