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
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Where a run would stand, as for `nanogen run`.",
)
@click.option("--strict", is_flag=True, help="Let a warning fail too: exit code 1.")
def command(files: tuple[str, ...], overrides: dict, json_lines: bool, strict: bool, runs: Path) -> None:
    """Check FILES of every kind alike: all faults at once, each with its place and what to do.

    A run is held to this machine as well: folder, disk, memory, packages, data.

    \b
    nanogen check specs/saint_iberis_d20.toml
    nanogen check my_model.toml --set depth=12
    nanogen check my_model.toml --strict
    nanogen check my_model.toml --json
    nanogen check quickstart --runs my_runs
    """
    found: list[Diagnostic] = []
    for name in files:
        document, diagnostics = check_file(name, overrides, runs)
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


def check_file(name: str, overrides: dict, runs: Path = Path("runs")) -> tuple[Document, list[Diagnostic]]:
    """Return a document and all that is wrong with it, whatever kind of file it is; `runs` is where a run would stand."""
    from nanogen.compiler import compile_file

    try:
        path = _path(name)
        document, faults = read_document(path, name)
        if not faults and ("stage" in document.data or document.data.get("kind") == "run"):
            if overrides:
                raise click.UsageError("`--set` is for specs: a run has a table `[set]`")
            return document, _of_run(path, name, runs)
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


def _of_run(path: Path, name: str, runs: Path) -> list[Diagnostic]:
    """What is wrong with a run, and what stands in its way on this machine."""
    from stages.preflight.checks import preflight, undone
    from stages.runfile.load import load_run  # a spec does not pay for it

    run = load_run(path, name=name)
    folder = runs / run.name
    return [*run.warnings, *preflight(run, folder, undone(run, folder))]


def _path(name: str) -> Path:
    for kind in KINDS:
        try:
            return find(name, kind)
        except Refusal:
            continue
    raise absent(name, *KINDS)
