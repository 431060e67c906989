"""`nanogen chat`: talk with the model of a run in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.options import SEED, dial_option, dtype_option, runs_option, stage_option

TOKENS = 256


@click.command("chat")
@click.argument("run")
@click.option("-p", "--prompt", help="Answer this one message, and end.")
@click.option("--temperature", type=click.FloatRange(0), default=0.6, show_default=True, help="0 is greedy.")
@click.option(
    "--top-k", type=click.IntRange(1), default=50, show_default=True, help="Draw from the k likeliest."
)
@click.option(
    "--top-p", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Draw from this share."
)
@click.option(
    "--tokens", type=click.IntRange(1), default=TOKENS, show_default=True, help="Of an answer, at most."
)
@click.option("--seed", type=SEED, help="Draw by this seed; unsaid, by another one every time.")
@dial_option
@dtype_option
@stage_option
@runs_option
def command(
    run: str,
    prompt: str | None,
    temperature: float,
    top_k: int,
    top_p: float,
    tokens: int,
    seed: int | None,
    dials: dict[str, int],
    dtype: str,
    stage: str | None,
    runs: Path,
) -> None:
    """Talk with the model that RUN trained last; RUN may be the folder of a model too.

    \b
    nanogen chat quickstart
    nanogen chat quickstart -p "The function returns"
    nanogen chat my_looped_run --dial r=8

    /help tells what else can be typed. Ctrl-C ends an answer, Ctrl-D the conversation. A base model, which
    has met no conversation yet, goes on with what you write.
    """
    from stages.models.trained import find_trained

    folder = find_trained(run, runs, stage)
    import secrets

    from nanogen.commands.terminal import Terminal
    from runtime.decoding.request import Sampling
    from runtime.dials import check_dials
    from stages.models.trained import decoding_machine, load_trained, make_engine
    from stages.talk import Talk

    chosen = decoding_machine(dtype=dtype, compiled="no")
    trained = load_trained(folder, device=chosen.device)
    drawn = secrets.randbits(32) if seed is None else seed
    talk = Talk(
        make_engine(trained, chosen, rows=1),
        trained.format,
        Sampling(temperature, top_k, top_p, seed=drawn),
        tokens,
        check_dials(trained.dials, dials),
    )
    terminal = Terminal(talk, trained)
    if prompt is not None:
        terminal.answer(prompt)
    else:
        terminal.run()
