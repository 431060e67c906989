"""`nanogen flops`: what specs cost, side by side; one solved to match another; what a budget buys. No torch."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option
from runtime.faults import Fault

if TYPE_CHECKING:
    from nanogen.compiler import Compiled
    from nanogen.planning.hardware import Hardware
    from nanogen.planning.match import Match
    from nanogen.views.comparison import Entry

FILE = click.Path(dir_okay=False, path_type=Path)
PLOTS = (".svg", ".png")


@frozen
class Asked:
    """The options of one call; a field each."""

    tokens: int | None
    batch: int
    dial: tuple[str, tuple[int, ...]] | None
    dim: str | None
    by: str
    output: Path | None
    budget: float | None
    batch_tokens: int | None
    hardware: str | None
    json_lines: bool
    csv_file: Path | None
    plot: Path | None

    @property
    def paid_by(self) -> str:
        """The count that a budget pays: parameters are none."""
        return "exact" if self.by == "parameters" else self.by

    @property
    def step_tokens(self) -> int:
        return self.batch_tokens or 524_288

    @property
    def csv_printed(self) -> bool:
        return self.csv_file == Path("-")


def _dial(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, tuple[int, ...]] | None:
    found: dict[int, None] = {}
    names = dict.fromkeys(value.partition("=")[0] for value in values)
    for value in values:
        name, _, numbers = value.partition("=")
        if not name.isidentifier() or not all(n.isascii() and n.isdecimal() for n in numbers.split(",")):
            raise click.BadParameter(f"`{value}` is not NAME=N,N: `--dial r=1,4,8`")
        found |= dict.fromkeys(int(n[:9]) for n in numbers.split(","))
    if len(names) > 1:
        raise click.BadParameter(f"one dial at a time, found {', '.join(f'`{n}`' for n in names)}")
    return (next(iter(names)), tuple(found)) if names else None


def _budget(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (value > 0 and isfinite(value)):
        raise click.BadParameter(f"{value} FLOPs buy nothing: `--budget 4e19`")
    return value


@click.command("flops")
@click.argument("specs", nargs=-1, required=True)
@set_option
@click.option(
    "--tokens",
    "--context",
    type=click.IntRange(1),
    help="Count rows of this length; unsaid, the shortest context of the specs.",
)
@click.option("--batch", type=click.IntRange(1), default=1, help="Read and decode so many rows; unsaid, one.")
@click.option(
    "--dial",
    metavar="NAME=N,N",
    multiple=True,
    callback=_dial,
    help="Count each spec that has this dial once for each number: --dial r=1,4,8.",
)
@click.option(
    "--match",
    "dim",
    metavar="DIM",
    help="Solve this dim of the second spec so that it costs what the first does.",
)
@click.option(
    "--by",
    type=click.Choice(["exact", "convention", "parameters"]),
    default="exact",
    help="Match and pay by this count; unsaid, exact.",
)
@click.option("-o", "--output", type=FILE, help="Write the matched spec here.")
@click.option(
    "--budget", type=float, callback=_budget, metavar="FLOPS", help="Say what these training FLOPs buy."
)
@click.option(
    "--batch-tokens", type=click.IntRange(1), help="Train on so many tokens a step; unsaid, 524,288."
)
@click.option(
    "--hardware",
    metavar="FILE",
    help="Say the hours of the budget on a machine: h100x8, cpu, or a file.",
)
@click.option("--json", "json_lines", is_flag=True, help="Print one JSON object a spec, and no table.")
@click.option(
    "--csv", "csv_file", type=FILE, help="Write the numbers as .csv; `-` prints them, and no table."
)
@click.option("--plot", type=FILE, help="Draw training FLOPs over row length, as .svg or .png.")
def command(specs: tuple[str, ...], overrides: dict, **options: Any) -> None:
    """Count what SPECS cost, a row each.

    \b
    nanogen flops saint_iberis_d20 nanochat_2025
    nanogen flops nanochat_2025 --set depth=12 --tokens 1024
    nanogen flops saint_iberis_d20 nanochat_2025 --match width -o matched.toml
    nanogen flops looped --dial r=1,4,8,16
    nanogen flops nanochat_2025 --budget 4e19 --hardware h100x8
    nanogen flops saint_iberis_d20 nanochat_2025 --plot cost.svg
    """
    asked = Asked(**options)
    _check(asked, len(specs))
    hardware = _hardware(asked.hardware)
    compiled = [compile_spec(name, overrides) for name in specs]
    for c in compiled:
        show(c.document, list(c.warnings))
    length = asked.tokens or min(c.graph.context for c in compiled)
    _check_costs(asked, specs, compiled, length)
    _check_dial(asked, specs, compiled)
    entries = [
        evolve(_entry(name, at, length, asked, hardware), dial=where)
        for name, c in zip(specs, compiled, strict=True)
        for where, at in _dialled(name, c, overrides, asked.dial)
    ]
    if asked.dim is not None:
        from nanogen.planning.match import match

        solved = match(compiled[0].graph, compiled[1], asked.dim, tokens=length, by=asked.by)
        entries.append(_entry(specs[1], solved.compiled, length, asked, hardware, solved))
    _print(entries, asked, hardware)
    for path in _write(entries, asked):
        click.echo(f"wrote {path}", err=asked.json_lines or asked.csv_printed)


def _dialled(
    name: str, compiled: Compiled, overrides: dict, dial: tuple[str, tuple[int, ...]] | None
) -> list[tuple[str, Compiled]]:
    """A spec once for each number of the dial, if it has it."""
    if dial is None or dial[0] not in compiled.graph.dials:
        return [("", compiled)]
    which, numbers = dial
    return [(f"{which} = {n}", compile_spec(name, {**overrides, which: n})) for n in numbers]


def _check(asked: Asked, specs: int) -> None:
    """Options that say something only together, and files that must not be written."""
    wrong = {
        "`--dial` and `--match` do not go together": asked.dial is not None and asked.dim is not None,
        "`--match` takes two specs: the second is made to cost what the first does": asked.dim is not None
        and specs != 2,
        "`-o` goes with `--match`": asked.output is not None and asked.dim is None,
        "`--hardware` goes with `--budget`": asked.hardware is not None and asked.budget is None,
        "`--batch-tokens` goes with `--budget`": asked.batch_tokens is not None and asked.budget is None,
        "`--by parameters` goes with `--match`": asked.by == "parameters" and asked.dim is None,
        "`--json` and `--csv -` both print": asked.json_lines and asked.csv_printed,
        "`--csv` ends in .csv, or is `-`": asked.csv_file is not None
        and not asked.csv_printed
        and asked.csv_file.suffix != ".csv",
        "`--plot` ends in .svg or .png": asked.plot is not None and asked.plot.suffix not in PLOTS,
    }
    for message in (message for message, found in wrong.items() if found):
        raise click.UsageError(message)
    if asked.output is not None and asked.output.exists():
        raise Fault(f"`{asked.output}` is there already, and is left as it is", "name another file")


def _check_costs(asked: Asked, specs: tuple[str, ...], compiled: list[Compiled], length: int) -> None:
    """Nothing is bought, drawn to a logarithm or matched where a spec is for free."""
    from nanogen.answers.costs import COUNTS

    wanted = [option for option in (asked.budget, asked.dim, asked.plot) if option is not None]
    for name, c in zip(specs, compiled, strict=True):
        if wanted and not COUNTS[asked.paid_by](c.graph, length):
            raise Fault(f"`{name}` costs no FLOPs to train: it has no matmul", "leave it out")


def _check_dial(asked: Asked, specs: tuple[str, ...], compiled: list[Compiled]) -> None:
    """A dial that no spec has counts nothing, and numbers stay within the bounds of those that have it."""
    if asked.dial is None:
        return
    name, numbers = asked.dial
    dials = {
        spec: c.graph.dials[name] for spec, c in zip(specs, compiled, strict=True) if name in c.graph.dials
    }
    if not dials:
        known = dict.fromkeys(dial for c in compiled for dial in c.graph.dials)
        help = f"known here: {', '.join(f'`{dial}`' for dial in known)}" if known else "leave `--dial` out"
        raise Fault(f"no dial of these specs is called `{name}`", help)
    for spec, dial in dials.items():
        for number in numbers:
            if not dial.least <= number <= dial.most:
                message = f"`--dial {name}={number}`: the dial of `{spec}` goes from {dial.least:,} to {dial.most:,}"
                raise Fault(message, "its `min` and `max` stand in the spec")


def _hardware(name: str | None) -> Hardware | None:
    if name is None:
        return None
    from nanogen.planning.hardware import load_hardware
    from nanogen.shelf import find

    return load_hardware(find(name, "hardware"), name)


def _entry(
    name: str,
    compiled: Compiled,
    length: int,
    asked: Asked,
    hardware: Hardware | None,
    solved: Match | None = None,
) -> Entry:
    """Count one row of the table."""
    from nanogen.answers.costs import COUNTS, costs
    from nanogen.views.comparison import Entry

    graph = compiled.graph
    counted, bought = costs(graph, length, asked.batch), None
    if asked.budget is not None:
        from nanogen.planning.budget import purchase

        bought = purchase(
            asked.budget,
            per_token=COUNTS[asked.paid_by](graph, length),
            parameters=counted.parameters,
            batch_tokens=asked.step_tokens,
            hardware=hardware,
        )
    return Entry(name, graph, counted, bought, solved)


def _print(entries: list[Entry], asked: Asked, hardware: Hardware | None) -> None:
    from nanogen.views import comparison

    if asked.json_lines:
        import json

        for entry in entries:
            click.echo(json.dumps(comparison.record(entry), ensure_ascii=False))
        return
    if asked.csv_printed:
        click.echo(comparison.as_csv(entries), nl=False)
        return
    click.echo(comparison.table(entries))
    if asked.budget is not None:
        click.echo("\n" + comparison.spending(entries, asked.paid_by, asked.step_tokens, hardware))
    if (match := entries[-1].match) is not None:
        click.echo("\n" + comparison.solved(match))
        click.echo("" if asked.output else "\n" + match.text.rstrip("\n"))


def _write(entries: list[Entry], asked: Asked) -> list[Path]:
    """Write the files that were asked for, and return their names."""
    match = entries[-1].match
    if asked.output is not None and match is not None:
        with asked.output.open("x", encoding="utf-8") as file:
            file.write(match.text)
    if asked.csv_file is not None and not asked.csv_printed:
        from nanogen.views.comparison import as_csv

        asked.csv_file.write_text(as_csv(entries), encoding="utf-8")
    if asked.plot is not None:
        from nanogen.views.cost_curve import draw

        draw([(e.label, e.graph) for e in entries], asked.plot)
    files = (asked.output, None if asked.csv_printed else asked.csv_file, asked.plot)
    return [path for path in files if path is not None]
