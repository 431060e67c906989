"""`nanogen sample`: let the model of a run write."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import SEED, dial_option, runs_option


@click.command("sample")
@click.argument("run")
@click.option(
    "-p", "--prompt", default="", help="Begin the text with this; unsaid, it is the start of a document."
)
@click.option(
    "-n", "--samples", type=click.IntRange(1, 64), default=1, show_default=True, help="Write so many texts."
)
@click.option(
    "--tokens", type=click.IntRange(1), default=200, show_default=True, help="Stop after so many tokens."
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=0.8,
    show_default=True,
    help="Draw the more freely the higher; 0 is greedy.",
)
@click.option(
    "--top-k", type=click.IntRange(1), default=50, show_default=True, help="Draw from the k likeliest tokens."
)
@click.option(
    "--seed",
    type=SEED,
    default=42,
    show_default=True,
    help="Draw by this seed: the same one writes the same text.",
)
@dial_option
@runs_option
def command(
    run: str,
    prompt: str,
    samples: int,
    tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
    dials: dict[str, int],
    runs: Path,
):
    """Sample the model that RUN trained.

    \b
    nanogen sample quickstart
    nanogen sample quickstart -p "The function" -n 3 --temperature 0.6
    nanogen sample my_looped_run --dial r=8
    """
    from stages.models.trained import find_trained

    folder = find_trained(run, runs)
    from runtime.decoding.request import Sampling
    from runtime.device import machine
    from stages.evaluating.writing import write
    from stages.models.artefact import read_artefact

    artefact = read_artefact(folder, device=machine(dtype="float32", compiled="no").device)
    sampling = Sampling(temperature, top_k, seed=seed)
    [found] = write(artefact, [(prompt, sampling)], samples=samples, tokens=tokens, dials=dials)
    click.echo("\n\n---\n\n".join(prompt + text for text in found))
