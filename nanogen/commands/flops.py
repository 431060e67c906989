"""`nanogen flops`: what specs cost, side by side, without torch."""

from __future__ import annotations

import click

from nanogen.commands.faults import show
from nanogen.commands.options import compile_spec, set_option


@click.command("flops")
@click.argument("specs", nargs=-1, required=True)
@set_option
@click.option(
    "--tokens", type=click.IntRange(1), help="Length of a row; unsaid, the shortest context of SPECS."
)
def command(specs: tuple[str, ...], overrides: dict, tokens: int | None) -> None:
    """Count the FLOPs of SPECS and print them side by side.

    Exact counts take attention over the keys that each query sees; the convention that the field quotes,
    6N + 12·layers·width·T, takes every query against every key.

    \b
    nanogen flops saint_iberis_d20 nanochat_2025
    nanogen flops nanochat_2025 --set depth=12 --tokens 1024
    """
    from nanogen.answers.flops import convention_per_token, decoding_per_token, forward, training_per_token
    from nanogen.answers.parameters import count
    from nanogen.figures import columns
    from nanogen.load import Load

    compiled = [compile_spec(name, overrides) for name in specs]
    for c in compiled:
        show(c.document, list(c.warnings))
    graphs = [c.graph for c in compiled]
    length = tokens or min(g.context for g in graphs)
    one = [forward(g, Load(1, length)) for g in graphs]
    rows = [
        [f"at {length:,} tokens", *(g.name for g in graphs)],
        ["parameters", *(f"{count(g):,}" for g in graphs)],
        ["training FLOPs a token", *[""] * len(graphs)],
        ["  6N + 12·layers·width·T", *(f"{convention_per_token(g, length):,}" for g in graphs)],
        ["  exact", *(f"{training_per_token(g, length):,.0f}" for g in graphs)],
        ["  exact, of these attention", *(f"{3 * f.pairs / length:,.0f}" for f in one)],
        ["prefill FLOPs, all tokens", *(f"{f.matmul:,}" for f in one)],
        ["decoding FLOPs, next token", *(f"{decoding_per_token(g, length):,}" for g in graphs)],
    ]
    click.echo(columns(rows))
