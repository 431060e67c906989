"""`nanogen serve`: the model of a run behind a chat page and OpenAI's API."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nanogen.commands.options import dtype_option, runs_option, stage_option

if TYPE_CHECKING:
    from runtime.decoding.engine import Engine
    from runtime.device import Machine
    from stages.models.trained import Trained


@click.command("serve")
@click.argument("run")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Listen here; others than loopback want a token."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one."
)
@click.option(
    "--token", envvar="NANOGEN_TOKEN", help="What requests must carry; better said in NANOGEN_TOKEN."
)
@click.option(
    "--cors", multiple=True, metavar="ORIGIN", help="Let pages of this origin call. May be repeated."
)
@click.option(
    "--rows", type=click.IntRange(1, 1024), default=32, show_default=True, help="Answers written at once."
)
@click.option(
    "--queue", type=click.IntRange(0), default=128, show_default=True, help="Answers that may wait."
)
@click.option("--context", type=click.IntRange(2), help="Prompt and answer, at most; unsaid, the model's.")
@click.option(
    "--tokens", type=click.IntRange(1), default=512, show_default=True, help="Of an answer, unless asked."
)
@click.option(
    "--compile",
    "compiled",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Compile the steps first: some time at the start, and then much faster.",
)
@click.option(
    "--share-turns", type=click.IntRange(1), help="Let a loop's turns share so many states: NOT exact."
)
@dtype_option
@stage_option
@runs_option
def command(
    run: str,
    host: str,
    port: int,
    token: str | None,
    cors: tuple[str, ...],
    rows: int,
    queue: int,
    context: int | None,
    tokens: int,
    compiled: str,
    share_turns: int | None,
    dtype: str,
    stage: str | None,
    runs: Path,
) -> None:
    """Serve the model that RUN trained last; RUN may be the folder of a model too.

    \b
    nanogen serve quickstart
    nanogen serve my_run --port 9000 --rows 64
    NANOGEN_TOKEN=... nanogen serve my_run --host 0.0.0.0

    The page is at /, OpenAI's API at /v1, Prometheus' figures at /metrics. The first Ctrl-C lets running
    answers finish, a second one ends them.
    """
    from stages.models.trained import decoding_machine, find_trained, load_trained, make_engine

    folder = find_trained(run, runs, stage)
    from runtime.decoding.request import Sampling
    from runtime.device import devices
    from web.app import make_app
    from web.limits import Limits
    from web.replica import Replica
    from web.service import Options, Service
    from web.serving import serve

    options = Options(token=token, cors=cors, limits=Limits(queue=queue))
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    chosen, engines = decoding_machine(dtype=dtype, compiled=compiled), []
    for device in devices():
        trained = load_trained(folder, device=device)
        if not engines:
            click.echo(trained.describe())
            click.echo(f"on {chosen.why}")
        engines.append(make_engine(trained, chosen, rows=rows, context=context, turns_kept=share_turns))
        _told(trained, engines[-1], chosen)
    service = Service(
        trained.name,
        trained.format,
        trained.artefact.tokenizer,
        tuple(map(Replica, engines)),
        facts=_facts(trained),
        tokens=min(tokens, engines[0].context),
        sampling=Sampling(temperature=0.8, top_k=50),
        created=int(trained.finished.timestamp()),
    )
    serve(make_app(service, options), host=host, port=port, ready=_ready)


def _told(trained: Trained, engine: Engine, chosen: Machine) -> None:
    """Say what a replica takes, and have its code compiled before anybody waits for it."""
    from nanogen.answers.state import bytes_per_row
    from nanogen.views.figures import bytes_text
    from runtime.decoding.generation import warm

    row = bytes_per_row(trained.artefact.compiled.graph, engine.context, chosen.torch_dtype.itemsize)
    click.echo(f"{engine.rows} rows of {engine.context:,} positions, at most {bytes_text(row)} each")
    if chosen.compiles:
        click.echo("compiling: some seconds for each kind of layer, less the next time")
    warm(engine)


def _facts(trained: Trained) -> dict:
    return {
        "step": trained.steps,
        "trained": trained.finished.isoformat(),
        "parameters": trained.artefact.compiled.blueprint["count"],
    }


def _ready(url: str) -> None:
    click.echo(f"ready: {url}")
