"""`nanogen diff`: what sets two specs apart, what it costs, and whether weights of one load in the other, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option_of

if TYPE_CHECKING:
    from nanogen.views.difference import Change, Difference, Layer, Stack, Total

SHOWN = 12  # rows of one list of tensors or changes
MARKS = {"added": "+", "removed": "-", "changed": "~"}


@click.command("diff")
@click.argument("a")
@click.argument("b")
@set_option_of("A")
@set_option_of("B")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON, nothing left out.")
def command(a: str, b: str, set_a: dict, set_b: dict, as_json: bool) -> None:
    """Compare the specs A and B: layers, equations, costs, and whether a checkpoint of A loads in B.

    \b
    nanogen diff nanochat_2025 saint_iberis_d20
    nanogen diff nanochat_2025 nanochat_2025 --set-b depth=12
    nanogen diff old.toml new.toml --json
    """
    from nanogen.views import difference

    compiled = compile_spec(a, set_a), compile_spec(b, set_b)
    for c in compiled:
        show(c.document, list(c.warnings))
    found = difference.compare(*compiled)
    if as_json:
        click.echo(json.dumps(difference.as_json(found), indent=1))
        return
    click.echo("\n".join(lines(found)))


def lines(found: Difference) -> Iterator[str]:
    """Yield the lines of a difference as people read it."""
    from nanogen.views.difference import tensor_rows, verdicts

    yield bold(f"{found.names[0]} -> {found.names[1]}")
    yield from (f"  {text}" for text in verdicts(found))
    if found.equal:
        return
    yield from ("", *_totals(found))
    if found.dims:
        yield from ("", bold("dims"), *_changes(found.dims))
    if found.model:
        yield from ("", bold("model"), *_changes(found.model))
    for stack in found.stacks:
        yield from ("", *_stack(stack))
    rows = tensor_rows(found.tensors)
    if rows:
        yield from ("", bold("tensors"), *_tensors(rows))


def _totals(found: Difference) -> list[str]:
    from nanogen.views.figures import columns

    head = [f"in rows of {found.tokens:,}", *found.names, "change"]
    head_line, *rest = columns([head, *map(_total, found.totals)]).split("\n")
    return [bold(head_line), *rest]


def _total(total: Total) -> list[str]:
    from nanogen.views.figures import bytes_text

    def text(number: float) -> str:
        return bytes_text(number) if total.unit == "bytes" else f"{number:,.0f}"

    change = total.after - total.before
    share = f" {change / total.before:+.1%}" if total.before and change else ""
    sign = "+" if change > 0 else "-"
    told = f"{sign}{text(abs(change))}{share}" if change else "same"
    unit = " FLOPs" if total.unit == "FLOPs" else ""
    return [f"  {total.name}{unit and ', FLOPs'}", text(total.before), text(total.after), told]


def _changes(changes: tuple[Change, ...]) -> list[str]:
    """A line a change, or two where it is long; then the values that have another shape, by shape."""
    said = [c for c in changes if c.what != "shape"]
    width = max((len(c.name) for c in said), default=0)
    shapes: dict[str, list[str]] = {}
    for c in changes:
        if c.what == "shape":
            shapes.setdefault(f"{c.before} -> {c.after}", []).append(c.name)
    texts = [text for change in said for text in _change(change, width)]
    return texts + [marked("~", f"{shape}: {', '.join(names)}") for shape, names in shapes.items()]


def _change(change: Change, width: int) -> list[str]:
    name = change.name.ljust(width)
    if change.before is None or change.after is None:
        added = change.before is None
        return [marked("+" if added else "-", f"{name}  {change.after if added else change.before}")]
    one = f"{name}  {change.before} -> {change.after}"
    if len(one) <= 90:
        return [marked("~", one)]
    return [marked("-", f"{name}  {change.before}"), marked("+", f"{' ' * width}  {change.after}")]


def _stack(stack: Stack) -> list[str]:
    before, after = stack.counts
    count = f"{after} layers" if before == after else f"{before} -> {after} layers"
    texts = [bold(f"{stack.path} · {count}")]
    for layers in _alike(stack.layers):
        texts += _layers(layers)
    return texts


def _alike(layers: tuple[Layer, ...]) -> list[list[Layer]]:
    """Layers that changed in the same way, together."""
    groups: dict[tuple, list[Layer]] = {}
    for layer in layers:
        key = (layer.kind, layer.changes, layer.parameters, layer.training)
        groups.setdefault(key, []).append(layer)
    return list(groups.values())


def _layers(layers: list[Layer]) -> list[str]:
    from nanogen.building.layers import ranges

    first = layers[0]
    where = f"layer{'s' if len(layers) > 1 else ''} {ranges([layer.index for layer in layers])}"
    costs = [
        f"{after - before:+,.0f} {what}"
        for what, (before, after) in (("parameters", first.parameters), ("training FLOPs", first.training))
        if after != before
    ]
    each = " each" if len(layers) > 1 and costs else ""
    told = f"  ({', '.join(costs)}{each})" if costs else ""
    head = marked(MARKS[first.kind], f"{where} {first.kind}{told}")
    return [head, *(f"  {line}" for line in _changes(first.changes))]


def _tensors(rows: list[tuple[str, str, str, list[str]]]) -> list[str]:
    from nanogen.views.difference import places
    from nanogen.views.figures import columns

    kept: list[tuple[str, ...]] = []
    hidden: dict[str, int] = {}
    for what, path, details, paths in rows:
        if sum(row[0] == what for row in kept) < SHOWN:
            kept.append((what, path, details, places(paths)))
        else:
            hidden[what] = hidden.get(what, 0) + len(paths)
    texts = [f"  {line}" for line in columns(kept, right=False).split("\n")]
    return texts + [f"  ... and {count:,} tensors more ({what})" for what, count in hidden.items()]


def bold(text: str) -> str:
    """Bold on a terminal; click drops it anywhere else."""
    return click.style(text, bold=True)


def marked(mark: str, text: str) -> str:
    """A line of a difference in the colour of its mark."""
    return click.style(f"  {mark} {text}", fg={"+": "green", "-": "red"}.get(mark))
