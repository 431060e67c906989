"""`nanogen bench`: how fast this machine trains, decodes, compiles and starts, and whether that has changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from nanogen.commands.options import set_option

if TYPE_CHECKING:
    from stages.benching.bench import Asked
    from stages.benching.records import Record

PRESETS = ("small", "d12", "d20", "gpu")
KINDS = ("train", "decode", "compile", "start")


@click.command("bench")
@click.argument("specs", nargs=-1)
@set_option
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="Measure this alone. May be repeated.")
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="small",
    show_default=True,
    help="Models and sizes: small fits two CPU cores; d12, d20 and gpu, which is both, a GPU.",
)
@click.option(
    "--on", metavar="HARDWARE", help="Take peak and bandwidth from this hardware file, as in h100x8."
)
@click.option("--optimizer", metavar="NAME", help="Train with this one; unsaid, one that fits the spec.")
@click.option("--rows", type=click.IntRange(1), help="Rows of a training step; unsaid, what fits.")
@click.option(
    "--length", type=click.IntRange(1), help="Tokens of a row; unsaid, the preset's, or the context."
)
@click.option("--repeats", type=click.IntRange(1, 100), help="Samples of each figure.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Leave out what takes longer in all."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep records in this folder; unsaid, tests/bench of a checkout, or the user's cache.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def command(
    specs: tuple[str, ...],
    overrides: dict[str, Any],
    only: tuple[str, ...],
    preset: str,
    on: str | None,
    optimizer: str | None,
    rows: int | None,
    length: int | None,
    repeats: int | None,
    minutes: float | None,
    into: Path | None,
    as_json: bool,
) -> int:
    """Measure SPECs on this machine, or the models of a preset.

    Training: tokens a second, the share of the peak where a hardware file lists this device, memory at most; and
    the same with large linear maps in float8, where the device multiplies that.
    Decoding: tokens a second at batch 1, 8, 32 and 128, and the share of what the bandwidth allows. Compiling: the
    first step with an empty cache, and again. Starting: `nanogen check` and `compile` as whole processes.

    Every figure is kept as a line of JSON and held against the last of the same machine. A change is beyond noise
    where the samples of both times lie apart.

    \b
    nanogen bench
    nanogen bench looped --set depth=2 --only train
    nanogen bench --preset d20 --only train --only decode
    nanogen bench --preset gpu --minutes 7 --json
    """
    asked = _asked(specs, overrides, only, preset, on, optimizer, (rows, length, repeats), minutes)
    from rich.console import Console

    from runtime.capacity import capacity
    from stages.benching.bench import Bench
    from stages.benching.records import folder_of, keep, last_like

    said = Console(stderr=True, highlight=False)
    folder, pairs = folder_of(into), []
    here = capacity()
    bench = Bench(asked, here, lambda line: said.print(line, style="dim", markup=False))
    for record in bench.records():
        pairs.append((record, last_like(folder, record)))
        keep(folder, record)
        if as_json:
            click.echo(record.line())
    if not as_json and pairs:
        _draw(pairs, folder, told_float8=preset != "small" and not here.float8)
    return int(bench.failed > 0)


def _draw(pairs: list[tuple[Record, Record | None]], folder: Path, *, told_float8: bool) -> None:
    from rich.console import Console

    from stages.benching.table import WIDTH, machine_line, table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(machine_line(pairs[0][0]), markup=False)
    console.print(table(pairs))
    if told_float8:
        console.print("float8 against bfloat16: this device does not multiply 8-bit floats", style="dim")
    console.print(f"kept in {folder}", markup=False, style="dim")


def _asked(
    specs: tuple[str, ...],
    overrides: dict[str, Any],
    only: tuple[str, ...],
    preset: str,
    on: str | None,
    optimizer: str | None,
    wanted: tuple[int | None, int | None, int | None],
    minutes: float | None,
) -> Asked:
    """Everything that a user can have got wrong is told before anything is measured."""
    from nanogen.planning.hardware import load_hardware
    from nanogen.shelf import find
    from stages.benching.bench import Asked
    from stages.benching.order import PRESETS, Model

    if on is not None:
        load_hardware(find(on, "hardware"), on)
    if optimizer is not None:
        find(optimizer, "optimizer")
    chosen = PRESETS[preset]
    models = tuple(Model(spec, overrides) for spec in specs) or tuple(
        attrs.evolve(model, overrides={**model.overrides, **overrides}) for model in chosen.models
    )
    named = dict(zip(("rows", "length", "repeats"), wanted, strict=True))
    sizes = attrs.evolve(chosen.sizes, **{name: value for name, value in named.items() if value is not None})
    seconds = minutes * 60 if minutes is not None else math.inf
    return Asked(models, sizes, only or KINDS, on, optimizer, seconds)
