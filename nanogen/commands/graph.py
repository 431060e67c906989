"""`nanogen graph`: a picture of a spec, written as SVG, without torch."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option
from runtime.faults import Fault


@click.command("graph")
@click.argument("spec")
@set_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the SVG here; unsaid, it is printed.",
)
def command(spec: str, overrides: dict, output: Path | None) -> None:
    """Draw SPEC as an SVG: its equations as a flow, its stacks layer by layer, each module once.

    \b
    nanogen graph saint_iberis_d20 -o model.svg
    nanogen graph looped --set injection=0 > looped.svg
    """
    from nanogen.views.picture import picture

    compiled = compile_spec(spec, overrides)
    show(compiled.document, list(compiled.warnings))
    text = picture(compiled.graph)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Fault(f"`{output}` cannot be written: {(error.strerror or str(error)).lower()}") from None
    click.echo(f"picture: {output}")
