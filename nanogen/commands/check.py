"""`nanogen check`: every fault of specs, runs, hardware, optimizer and data files, without torch."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import USER, more, show, tally
from nanogen.commands.options import set_option
from nanogen.shelf import absent, find
from nanogen.text.diagnostics import Diagnostic, Refusal
from nanogen.text.document import Document, read_document
from nanogen.text.draw import as_json

KINDS = ("model", "run", "hardware", "optimizer", "data")


@click.command("check")
@click.argument("files", nargs=-1, required=True)
@set_option
@click.option("--json", "json_lines", is_flag=True, help="Print one JSON object a diagnostic, for editors.")
@click.option("--strict", is_flag=True, help="Let a warning fail too: exit code 1.")
def command(files: tuple[str, ...], overrides: dict, json_lines: bool, strict: bool) -> None:
    """Check FILES of every kind alike: all faults at once, each with its place and what to do.

    \b
    nanogen check specs/saint_iberis_d20.toml
    nanogen check my_model.toml --set depth=12
    nanogen check my_model.toml --strict
    nanogen check my_model.toml --json
    """
    found: list[Diagnostic] = []
    for name in files:
        document, diagnostics = check_file(name, overrides)
        found += diagnostics
        if json_lines and diagnostics:
            click.echo(as_json(document, diagnostics))
        elif not json_lines:
            show(document, diagnostics)
    errors = any(d.severity == "error" for d in found)
    if not json_lines:
        files_text = f"{len(files)} file{'s' if len(files) > 1 else ''} read"
        click.echo(f"{files_text}, {tally(found) or 'no faults'}", err=bool(found))
    if found and not json_lines:
        click.echo(more(found), err=True)
    if errors or (strict and found):
        raise click.exceptions.Exit(USER)


def check_file(name: str, overrides: dict) -> tuple[Document, list[Diagnostic]]:
    """Return a document and all that is wrong with it, whatever kind of file it is."""
    from nanogen.compiler import compile_file

    try:
        path = _path(name)
        document, faults = read_document(path, name)
        if not faults and ("stage" in document.data or document.data.get("kind") == "run"):
            if overrides:
                raise click.UsageError("`--set` is for specs: a run has a table `[set]`")
            from stages.load import load_run  # a spec does not pay for it

            return document, list(load_run(path, name=name).warnings)
        if not faults and document.data.get("kind") == "hardware":
            from nanogen.planning.hardware import load_hardware

            load_hardware(path, name)
            return document, []
        if not faults and document.data.get("kind") == "optimizer":
            from nanogen.optimizer.spec import read_optimizer

            return document, read_optimizer(document)[1]
        if not faults and document.data.get("kind") == "data":
            from nanogen.data import load_data_set

            load_data_set(path, name)
            return document, []
        return document, list(compile_file(path, overrides, name=name).warnings)
    except Refusal as refusal:
        return refusal.document, refusal.diagnostics


def _path(name: str) -> Path:
    for kind in KINDS:
        try:
            return find(name, kind)
        except Refusal:
            continue
    raise absent(name, *KINDS)
