"""`nanogen compile`: a spec's card, its source, and the proof that counted equals built."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option
from runtime.faults import Fault


@click.command("compile")
@click.argument("spec")
@set_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the PyTorch source here."
)
@click.option("--source", is_flag=True, help="Print the PyTorch source.")
def command(spec: str, overrides: dict, output: Path | None, source: bool) -> None:
    """Compile SPEC, a TOML file or the name of one that ships, and print its card.

    The emitted source is built without memory for its tensors, and its parameters are held against those counted.

    \b
    nanogen compile saint_iberis_d20
    nanogen compile nanochat_2025 --set depth=12
    nanogen compile my_model.toml -o my_model.py
    """
    from nanogen.card import card

    compiled = compile_spec(spec, overrides)
    show(compiled.document, list(compiled.warnings))
    from nanogen.lowering import prove

    prove(compiled)
    if source:
        click.echo(compiled.source)
        return
    click.echo(card(compiled))
    click.echo(
        f"  proven       the source builds with {compiled.blueprint['count']:,} parameters, path by path"
    )
    if output is not None:
        try:
            output.write_text(compiled.source, encoding="utf-8")
        except OSError as error:
            raise Fault(f"`{output}` cannot be written: {(error.strerror or str(error)).lower()}") from None
        click.echo(f"  source       {output}")
