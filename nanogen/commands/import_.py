"""`nanogen import`: published weights as a trained model, by an import table of a spec."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import USER, show, tally
from nanogen.commands.options import compile_spec, set_option
from nanogen.text.diagnostics import Refusal


@click.command("import")
@click.argument("spec")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Make this folder, which may be there if it is empty.",
)
@click.option(
    "--as",
    "table",
    metavar="NAME",
    help="Read by this import table; unsaid, by the one that fits the file best.",
)
@set_option
def command(spec: str, weights: Path, output: Path, table: str | None, overrides: dict) -> None:
    """Import WEIGHTS, a file or a folder of them, as the model of SPEC.

    .safetensors are read as they are. Of a .pt, .pth or .bin, a process of its own reads the tensors and nothing
    else: a pickle that asks for anything else is refused. A tokenizer.json of nanogen's beside them comes along.

    The spec's `[import.NAME]` says which published tensor fills which parameter. Nothing is guessed: what is
    missing, left over, of another shape or read twice is a fault.

    \b
    nanogen import nanochat_2025 model.safetensors -o models/d20
    nanogen import nanochat_2025 model_021400.pt -o models/d20
    nanogen import nanochat_2025 checkpoints/d12 -o models/d12 --set depth=12
    """
    from nanogen.views.figures import bytes_text

    compiled = compile_spec(spec, overrides)
    show(compiled.document, list(compiled.warnings))
    from nanogen.lowering import prove
    from stages.models.importing import import_weights
    from stages.progress import Reporter

    prove(compiled)
    tell = Reporter()
    try:
        done = import_weights(compiled, weights, output, wanted=table, tell=tell)
    except Refusal as refusal:
        show(refusal.document, refusal.diagnostics)
        click.echo(f"\n{tally(refusal.diagnostics)}: nothing was imported", err=True)
        raise click.exceptions.Exit(USER) from None
    tell.line(
        f"{done.parameters:,} parameters filled from {_tensors(done.tensors)}, {bytes_text(done.bytes)}"
    )
    if done.ignored:
        shown = ", ".join(done.ignored[:5]) + (", ..." if len(done.ignored) > 5 else "")
        tell.line(f"{_tensors(len(done.ignored))} ignored: {shown}")
    if done.rounded:
        tell.line(f"{_tensors(done.rounded)} rounded: the spec keeps fewer bits than were published")


def _tensors(count: int) -> str:
    return f"{count:,} tensor{'s' if count != 1 else ''}"
