"""`nanogen data`: what the mixtures of a run teach, to look at before anything is trained."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import show
from nanogen.commands.options import runs_option
from nanogen.shelf import find


@click.group("data")
def command() -> None:
    """Look at the data of a run. What is learnt stands on a coloured ground.

    \b
    nanogen data inspect my_run.toml
    """


@command.command("inspect")
@click.argument("run")
@click.option(
    "-n",
    "--conversations",
    type=click.IntRange(0, 1000),
    default=3,
    show_default=True,
    help="Show so many conversations of each mixture.",
)
@click.option("--stage", help="Show the mixtures of this stage of the run; unsaid, of all.")
@runs_option
def inspect(run: str, conversations: int, stage: str | None, runs: Path) -> None:
    """Show the first conversations of each mixture in RUN, token by token, and how much each task adds.

    Tokens on a coloured ground are those that the model learns to write. Counts of long tasks are estimated
    from a thousand of their rows, and then begin with ~.

    \b
    nanogen data inspect my_run.toml
    nanogen data inspect my_run.toml --stage sft -n 10
    """
    from rich.console import Console

    from stages.inspection import LEGEND, find_mixtures, find_tokenizer
    from stages.inspection import inspect as look
    from stages.runfile.load import load_run

    loaded = load_run(find(run, "run"))
    show(loaded.document, list(loaded.warnings))
    found = find_mixtures(loaded, stage)
    tokenizer, said = find_tokenizer(loaded, runs)
    console = Console(highlight=False, emoji=False)
    console.print(said, style="dim", markup=False)
    console.print(LEGEND)
    for mixture in found:
        console.print()
        console.print(look(mixture, tokenizer, seed=loaded.seed, conversations=conversations))
