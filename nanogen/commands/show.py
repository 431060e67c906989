"""`nanogen show`: every layer of a spec, or one of them from within, as tables or JSON, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option
from runtime.faults import Fault

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nanogen.answers.shares import Share
    from nanogen.views.show import Equation, Inside, Layer, Model, Stack

SHARES = ("parameters", "training", "decoding", "state")  # headings of what `_share` writes
WIDEST = 400  # columns where nobody's screen sets the width
PROSE = 24  # columns that an equation has at least


@click.command("show")
@click.argument("spec")
@set_option
@click.option(
    "--layer",
    metavar="PATH",
    help="Show one layer, module or loop from within: 3, trunk.3, trunk.3.mix, think.",
)
@click.option("--fold", is_flag=True, help="Write one row for a run of layers that are equal.")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def command(spec: str, overrides: dict, layer: str | None, fold: bool, as_json: bool) -> None:
    """Show every layer of SPEC: its modules, facts, parameters, FLOPs and decoding state.

    \b
    nanogen show saint_iberis_d20
    nanogen show saint_iberis_d20 --layer 3
    nanogen show looped --layer think
    nanogen show nanochat_2025 --set depth=12 --fold
    """
    from nanogen.views.show import NoSuchLayer, inside_as_json, lay_open, lay_open_layer, model_as_json

    if layer is not None and fold:
        raise click.UsageError("`--fold` is for the tables of layers, and `--layer` shows one")
    compiled = compile_spec(spec, overrides)
    show(compiled.document, list(compiled.warnings))
    if layer is None:
        model = lay_open(compiled.graph)
        if as_json:
            click.echo(json.dumps(model_as_json(model), indent=1))
        else:
            print_model(_console(), model, fold)
        return
    try:
        inside = lay_open_layer(compiled.graph, layer)
    except NoSuchLayer as fault:
        raise Fault(fault.message, fault.help) from None
    if as_json:
        click.echo(json.dumps(inside_as_json(inside), indent=1))
    else:
        print_inside(_console(), inside, compiled.graph.context)


def _console() -> Console:
    """The terminal; anything else gets plain text, as wide as it is."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    return (
        console if console.is_terminal else Console(width=WIDEST, highlight=False, markup=False, emoji=False)
    )


def print_model(console: Console, model: Model, fold: bool) -> None:
    """Print the model's own equations, then each stack layer by layer."""
    console.print(model.name, style="bold")
    console.print(_legend(model.context), style="dim", soft_wrap=True)
    console.print()
    table = _table(console, ["model"], SHARES, prose="")
    for equation in model.equations:
        about = f" · {equation.layers} layers" if equation.layers else ""
        about += f" · {equation.turns} turns" if equation.turns else ""
        table.add_row(equation.path, equation.text + about, *_share(equation.cost))
    _total(table, "total", "", *_share(model.cost))
    _print(console, table)
    for stack in model.stacks:
        print_stack(console, stack, fold)


def print_stack(console: Console, stack: Stack, fold: bool) -> None:
    """Print a row a layer; with `fold`, a row a run of equal layers."""
    from nanogen.building.layers import ranges
    from nanogen.language.arithmetic import shown

    named = "" if stack.path == stack.name else f" · stack {stack.name}"
    console.print()
    turn = f" · one turn of {stack.loop}" if stack.loop else ""
    console.print(f"{stack.path}{named} · {len(stack.layers)} layers{turn}", style="bold")
    choices, facts = stack.choices, stack.facts
    runs = folded(stack.layers) if fold else [[layer] for layer in stack.layers]
    table = _table(console, ["layer", *choices], [*facts, *SHARES])
    for run in runs:
        layer = run[0]
        told = [layer.modules.get(name, "") for name in choices]
        numbers = [shown(layer.facts[name]) if name in layer.facts else "" for name in facts]
        table.add_row(ranges([one.index for one in run]), *told, *numbers, *_share(layer.cost))
    empty = [""] * (len(choices) + len(facts))
    _total(table, "total", *empty, *_share(stack.cost))
    _print(console, table)
    if any(len(run) > 1 for run in runs):
        console.print("a row of several layers has the numbers of each", style="dim")


def folded(layers: Iterable[Layer]) -> list[list[Layer]]:
    """Runs of layers that follow one another and are equal in all that is shown."""
    runs: list[list[Layer]] = []
    for layer in layers:
        if runs and _same(runs[-1][0], layer):
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return runs


def _same(one: Layer, other: Layer) -> bool:
    return (one.form, one.modules, one.facts, one.cost) == (
        other.form,
        other.modules,
        other.facts,
        other.cost,
    )


def print_inside(console: Console, inside: Inside, context: int) -> None:
    """Print each equation of a layer with its shape and share; below it its text and what it owns."""
    from rich.text import Text

    from nanogen.language.arithmetic import shown

    unit = inside.unit
    about = [f"{unit.kind} {unit.name}"]
    about += [f"one turn of {inside.loop}"] if inside.loop else []
    about += [f"{name} = {module}" for name, module in unit.modules.items()]
    about += [f"{name} = {shown(value)}" for name, value in unit.numbers.items()]
    console.print(Text.assemble((inside.path, "bold"), (f"  {', '.join(about)}", "")), soft_wrap=True)
    console.print(_legend(context), style="dim", soft_wrap=True)
    console.print()
    rows = [row for equation in inside.equations for row in _rows(equation, 0)]
    head = ("", "shape", *SHARES)
    lines = [head, *(cells for cells, _ in rows), ("total", "", *_share(inside.cost))]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    console.print(_aligned(head, widths), style="dim", soft_wrap=True)
    for cells, below in rows:
        console.print(_aligned(cells, widths), soft_wrap=True)
        for text in below:
            console.print(text, style="dim", soft_wrap=True)
    console.print()
    console.print(_aligned(lines[-1], widths), style="bold", soft_wrap=True)


def _rows(equation: Equation, depth: int) -> list[tuple[tuple[str, ...], list[str]]]:
    """A row of cells for an equation, with the lines below it; then the rows of what it calls."""
    from nanogen.language.initial import shown

    indent = "    " * depth
    name = equation.path.rpartition(".")[2]
    below = [f"{indent}  = {equation.text}"]
    for placed in equation.owned:
        parameter = placed.parameter
        stored = f", {parameter.dtype}" if parameter.dtype else ""
        axes = ", ".join(map(str, parameter.shape))
        below.append(f"{indent}  {placed.path} ({axes}), {shown(parameter.init)}, {parameter.role}{stored}")
    cells = (indent + name, equation.shape, *_share(equation.cost))
    inner = [row for inside in equation.inside for row in _rows(inside, depth + 1)]
    return [(cells, below), *inner]


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    texts += [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts).rstrip()


def _share(cost: Share) -> tuple[str, ...]:
    from nanogen.views.figures import bytes_text

    return (
        f"{cost.parameters:,}" if cost.parameters else "",
        f"{cost.training:,.0f}" if cost.row else "",
        f"{cost.decoding:,}" if cost.decoding else "",
        bytes_text(cost.state) if cost.state else "",
    )


def _legend(context: int) -> str:
    return (
        f"training: FLOPs a token, exact, in rows of {context:,}; decoding: FLOPs for token {context:,};\n"
        f"state: of a row at {context:,} in bfloat16"
    )


def _table(console: Console, names: Iterable[str], numbers: Iterable[str], prose: str | None = None) -> Table:
    """A table of names and numbers, which never break; a column of prose between them may."""
    from rich import box
    from rich.table import Table

    edges: Any = {"box": box.SIMPLE_HEAD} if console.is_terminal else {"box": None}
    table = Table(**edges, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for name in names:
        table.add_column(name, no_wrap=True)
    if prose is not None:
        table.add_column(prose, overflow="fold", min_width=PROSE)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print(console: Console, table: Table) -> None:
    """Print a table whole: where the terminal is too narrow, it may break lines, but no number is cut."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    least = Measurement.get(console, console.options.update(width=WIDEST), table).minimum
    console.print(table, width=max(console.width, least), crop=False)


def _total(table: Table, *cells: str) -> None:
    table.add_section()
    table.add_row(*cells, style="bold")
