"""`nanogen compile`: a spec's card, its source, and the proof that counted equals built."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option
from nanogen.emission.standalone import standalone
from runtime import optimizer_memory
from runtime.faults import Fault


@click.command("compile")
@click.argument("spec")
@set_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the PyTorch source here."
)
@click.option("--source", is_flag=True, help="Print the PyTorch source.")
@click.option(
    "--standalone",
    "alone",
    is_flag=True,
    help="With -o or --source: one file that needs torch alone.",
)
@click.option(
    "--prove",
    "traced",
    is_flag=True,
    help="Trace training and decoding, and hold their FLOPs against those counted.",
)
def command(spec: str, overrides: dict, output: Path | None, source: bool, alone: bool, traced: bool) -> None:
    """Compile SPEC, a TOML file or the name of one that ships, and print its card.

    The emitted source is built without memory for its tensors, and its parameters and decoding state are held
    against those counted; with --prove its matmuls too, which takes a second or two.

    \b
    nanogen compile saint_iberis_d20
    nanogen compile saint_iberis_d20 --prove
    nanogen compile nanochat_2025 --set depth=12
    nanogen compile my_model.toml -o my_model.py
    nanogen compile my_model.toml -o my_model.py --standalone
    """
    from nanogen.views.card import card

    if alone and not source and output is None:
        raise click.UsageError("--standalone says what is written: give -o FILE, or --source")
    compiled = compile_spec(spec, overrides)
    show(compiled.document, list(compiled.warnings))
    from nanogen.lowering import prove, prove_flops, prove_state

    model = prove(compiled)
    prove_state(compiled)
    proof = prove_flops(compiled, model) if traced else None
    text = standalone(compiled.source, library_text) if alone else compiled.source
    if source:
        click.echo(text)
        return
    click.echo(card(compiled, optimizer_memory))
    click.echo(
        f"  proven       the source builds with {compiled.blueprint['count']:,} parameters, path by path"
    )
    if proof is not None:
        click.echo(
            f"               and computes {proof.forward + proof.backward:,} FLOPs to train on {proof.tokens:,} tokens, "
            f"{proof.decoding:,} for token {proof.past + 1:,}"
        )
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Fault(f"`{output}` cannot be written: {(error.strerror or str(error)).lower()}") from None
        click.echo(f"  source       {output}")


def library_text(module: str) -> str:
    """The text of a module of the runtime, wherever it is installed."""
    found = find_spec(module)
    assert found is not None, f"{module} is not installed"
    assert found.origin is not None, f"{module} is no file"
    return Path(found.origin).read_text(encoding="utf-8")
