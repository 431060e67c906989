"""`nanogen sample`: let the model of a run write."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import dial_option
from nanogen.shelf import find


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
    type=int,
    default=42,
    show_default=True,
    help="Draw by this seed: the same one writes the same text.",
)
@dial_option
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Read runs in this folder.",
)
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
    from stages.load import load_run

    loaded = load_run(find(run, "run"))
    from runtime.device import machine
    from runtime.dials import check_dials
    from runtime.faults import Fault
    from runtime.generation import Sampling
    from stages.artefact import read_artefact
    from stages.writing import write

    trained = [stage.name for stage in loaded.stages if stage.uses == "pretrain"]
    if not trained:
        raise Fault(f"`{run}` trains no model", "name a run with a `pretrain` stage")
    folder = runs / loaded.name / trained[-1]
    if not (folder / "weights.safetensors").is_file():
        raise Fault(f"`{folder}` holds no trained model yet", f"train it: `nanogen run {run}`")
    artefact = read_artefact(folder, device=machine(dtype="float32", compiled="no").device)
    found = write(
        artefact,
        prompt,
        samples=samples,
        tokens=tokens,
        sampling=Sampling(temperature, top_k, seed),
        dials=check_dials(artefact.compiled.blueprint["dials"], dials),
    )
    click.echo("\n\n---\n\n".join(prompt + text for text in found))
