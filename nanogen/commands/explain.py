"""`nanogen explain`: what a code means, why it is a fault, and how it is put right."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from nanogen.text.codes import BLOCKS, CODES
from nanogen.text.explanations import code_meant, explanation_of, nearest_code
from runtime.faults import Fault

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 100  # columns of prose


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain CODE, the code of a diagnostic: why it is one, a wrong example and a right one.

    Without CODE, list all codes.

    \b
    nanogen explain NG203
    nanogen explain ng203
    nanogen explain
    """
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
