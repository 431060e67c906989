"""`nanogen schema`: the JSON Schema of specs, libraries, runs or optimizers, without torch."""

from __future__ import annotations

import click

from nanogen.language.schema import Schema, as_text, library_schema, model_schema, run_schema


@click.command("schema")
@click.argument("kind", type=click.Choice(["model", "library", "run", "optimizer"]), default="model")
def command(kind: str) -> None:
    """Print the JSON Schema by which editors complete and check specs (model), files they use (library), runs (run) or
    optimizers (optimizer).

    Editors with Taplo inside find it by the first line of a file, `#:schema PATH`; the specs that ship have one.

    \b
    nanogen schema > model.json
    nanogen schema library > library.json
    nanogen schema run > run.json
    nanogen schema optimizer > optimizer.json
    """
    click.echo(as_text(schema_of(kind)))


def schema_of(kind: str) -> Schema:
    """The schema of a kind of file, with all stages that there are."""
    if kind == "optimizer":
        from nanogen.optimizer.schema import optimizer_schema

        return optimizer_schema()
    if kind != "run":
        return model_schema() if kind == "model" else library_schema()
    from stages.catalogue import KINDS, load_kind

    return run_schema({name: load_kind(name).Settings for name in KINDS})
