"""`nanogen explain`: what a code means and how it is put right; or where the values of a run come from."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import click

from nanogen.shelf import find
from nanogen.text.codes import BLOCKS, CODES
from nanogen.text.explanations import code_meant, explanation_of, nearest_code
from runtime.faults import Fault

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 100  # columns of prose
CODE_LIKE = re.compile(r"(?:ng)?\d+\w?|ng\w{0,4}", re.IGNORECASE)


@click.command("explain")
@click.argument("what", metavar="[CODE|RUN]", required=False)
@click.argument("key", required=False)
def command(what: str | None, key: str | None) -> None:
    """Explain CODE, the code of a diagnostic: why it is one, a wrong example and a right one. Or explain the values
    of RUN: each with the line of the file, the default or the law that it comes from.

    KEY is a setting of a stage, a stage, or a dim of the model; without it, all is told. Without anything, list all codes.

    \b
    nanogen explain NG203
    nanogen explain quickstart base.lr
    nanogen explain quickstart base
    nanogen explain quickstart model.width
    nanogen explain quickstart
    nanogen explain
    """
    if what is not None and (key is not None or not CODE_LIKE.fullmatch(what)):
        show_run(what, key)
    else:
        show_codes(what)


def show_codes(code: str | None) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDEST)
    if code is None:
        show_list(console)
        return
    meant = code_meant(code)
    if meant not in CODES:
        help = f"did you mean `{nearest_code(meant)}`? `nanogen explain` lists all"
        raise Fault(f"there is no code `{code}`", help)
    show_code(console, meant)


def show_run(name: str, key: str | None) -> None:
    """The values of a run, each with its origin."""
    from stages.runfile.load import load_run  # a code does not pay for it
    from stages.runfile.origin import shown
    from stages.runfile.origins import explained, origins

    run = load_run(find(name, "run"), name=name)
    for found in explained(run, key) if key is not None else origins(run):
        value = "not known yet" if found.value is None and found.origin == "derived" else shown(found.value)
        click.echo(f"{found.key} = {'unsaid' if found.value is None and value == 'None' else value}")
        why = f"{found.origin}: {found.why}" if found.why else found.origin
        click.echo(textwrap.indent(textwrap.fill(f"{why}", WIDEST - 4), "    "))
        if found.where:
            click.echo(f"    {found.where}")


def show_list(console: Console) -> None:
    """All codes with their titles, a block of digits under each heading."""
    for block, about in BLOCKS.items():
        console.print(f"{block}xx  {about}", style="bold")
        for code, entry in CODES.items():
            if code.startswith(block):
                warning = " (warning)" if entry.severity == "warning" else ""
                console.print(f"  {code}  {entry.title}{warning}")
        console.print()
    console.print("nanogen explain CODE says more of one")


def show_code(console: Console, code: str) -> None:
    entry, explanation = CODES[code], explanation_of(code)
    colour = "yellow" if entry.severity == "warning" else "red"
    console.print(f"{entry.severity}[{code}]: ", style=f"bold {colour}", end="")
    console.print(entry.title, style="bold")
    console.print(f"\n{textwrap.fill(explanation.text, console.width)}", soft_wrap=True)
    for title, example in (("wrong", explanation.wrong), ("right", explanation.right)):
        console.print(f"\n{title}\n", style="bold")
        _show_toml(console, example)


def _show_toml(console: Console, text: str) -> None:
    if console.is_terminal:
        from rich.padding import Padding
        from rich.syntax import Syntax

        syntax = Syntax(text, "toml", theme="ansi_dark", background_color="default")
        console.print(Padding(syntax, (0, 0, 0, 4)))
    else:
        for line in text.split("\n"):
            console.print(f"    {line}", soft_wrap=True)
