"""What a command prints when it cannot go on, and the exit code that says why."""

from __future__ import annotations

import traceback

import click

from nanogen.text.diagnostics import Diagnostic, Refusal
from nanogen.text.document import Document
from nanogen.text.draw import draw
from runtime.faults import Fault
from runtime.stopping import Stopped

USER, BUG = 1, 70
_COLOURS = {"error": "red", "warning": "yellow", "frame": "blue", "help": "cyan"}


def style(text: str, kind: str) -> str:
    """Colour for a terminal; click drops it anywhere else."""
    return click.style(text, fg=_COLOURS[kind], bold=kind in ("error", "warning"))


def show(document: Document, diagnostics: list[Diagnostic]) -> None:
    """Print diagnostics to standard error."""
    if diagnostics:
        click.echo(draw(document, diagnostics, style), err=True)


def tally(diagnostics: list[Diagnostic]) -> str:
    """`2 errors, 1 warning`."""
    counts = {s: sum(d.severity == s for d in diagnostics) for s in ("error", "warning")}
    return ", ".join(f"{n} {s}{'s' if n > 1 else ''}" for s, n in counts.items() if n)


def more(diagnostics: list[Diagnostic]) -> str:
    """Where to read on: the code of the first error, or else of the first warning."""
    first = min(diagnostics, key=lambda d: d.severity != "error")
    return f"`nanogen explain {first.code}` says more"


def explain(error: Exception) -> int:
    """Print an error and return its exit code: faults are told, bugs are shown."""
    if isinstance(error, Refusal):
        show(error.document, error.diagnostics)
        undone = "run" if error.document.data.get("kind") == "run" else "compiled"
        click.echo(f"\n{tally(error.diagnostics)}: nothing was {undone}", err=True)
        click.echo(more(error.diagnostics), err=True)
        return USER
    if isinstance(error, Fault):
        click.echo(f"{style('error', 'error')}: {error.message}", err=True)
        if error.help:
            click.echo(f"{style(' = help:', 'help')} {error.help}", err=True)
        return USER
    if isinstance(error, OSError):
        reason = (error.strerror or str(error)).lower()
        where = f"`{error.filename}`: " if error.filename else ""
        click.echo(f"{style('error', 'error')}: {where}{reason}", err=True)
        return USER
    click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo("this is a bug in nanogen: please report it with the lines above", err=True)
    return BUG


def stopped(ended: BaseException) -> int | None:
    """Say that a run was let go of at a signal, and return the exit code for it; None for any other end."""
    if not isinstance(ended, Stopped):
        return None
    click.echo(f"stopped by {ended}: give the same command again, and it goes on", err=True)
    return ended.exit_code
