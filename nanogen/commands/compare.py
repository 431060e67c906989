"""`nanogen compare`: curves of several runs, and which is ahead at equal steps, tokens, FLOPs and time. No torch."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import runs_option

FORMS = (".svg", ".png", ".html", ".csv")


@click.command("compare")
@click.argument("named", metavar="RUN...", nargs=-1, required=True)
@runs_option
@click.option(
    "--by",
    type=click.Choice(["step", "tokens", "flops", "time"]),
    help="Draw over this; unsaid, over each of the four.",
)
@click.option(
    "--figure",
    help="Compare this: loss, bits_per_byte, reward, pass_1 and whatever else a log has; unsaid, bits per byte if all have it.",
)
@click.option(
    "--stage", help="Compare the logs of this stage; unsaid, of the first one that all of them have."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw into this .svg, .png, .html or .csv.",
)
def command(
    named: tuple[str, ...],
    runs: Path,
    by: str | None,
    figure: str | None,
    stage: str | None,
    output: Path | None,
) -> None:
    """Compare runs: each RUN a name, a folder, or RUN/STAGE. They may be at work, done, or cut off.

    What steps logged is noisy, so it is smoothed before it is compared. Where runs have different tokenizers, only
    bits per byte compare them.

    \b
    nanogen compare quickstart other
    nanogen compare quickstart/base other/base --by flops -o curves.svg
    nanogen compare quickstart other --stage rl --figure reward -o rewards.html
    """
    if output is not None and output.suffix not in FORMS:
        raise click.UsageError(f"`-o` ends in one of {', '.join(FORMS)}")
    from stages.comparing.gather import compare
    from stages.comparing.table import text

    compared = compare(named, runs, stage=stage, figure=figure)
    click.echo(text(compared))
    if output is not None:
        from stages.comparing.write import write

        write(compared, output, by)
        click.echo(f"wrote {output}")
