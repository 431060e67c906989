"""`nanogen run`: a run file from start to end, going on where it was; or its rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from nanogen.commands.faults import show
from nanogen.commands.launch import elsewhere, options, where_of
from nanogen.commands.stages import load_asked, show_rows
from stages.tracking.sink import SINKS

if TYPE_CHECKING:
    from stages.progress import Reporter
    from stages.runfile.load import Run, Stage
    from stages.running.choice import Choice
    from stages.running.runner import Wishes


@click.command("run")
@click.argument("run")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default="runs",
    show_default=True,
    help="Keep runs in this folder.",
)
@click.option("--rehearse", is_flag=True, help="Go through every stage with a small model and little data.")
@click.option("--from", "begin", metavar="STAGE", help="Do this stage again, and all that follows from it.")
@click.option("--only", multiple=True, metavar="STAGE", help="Do this stage alone. May be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would be done with each stage, and do nothing.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Do so many stages at once where none needs another; on a CPU they share its threads.",
)
@click.option(
    "--track",
    type=click.Choice(list(SINKS)),
    multiple=True,
    help="Send the log to this, too; it can never stop the run. May be repeated.",
)
@click.option(
    "--offline", is_flag=True, help="Open no connection; what is missing is named before anything runs."
)
@click.option(
    "--allow-data-change",
    is_flag=True,
    help="Go on with a model that was cut off although its data is another since; this is written down.",
)
@options
@click.pass_context
def command(
    context: click.Context,
    run: str,
    runs: Path,
    rehearse: bool,
    begin: str | None,
    only: tuple[str, ...],
    dry_run: bool,
    jobs: int,
    track: tuple[str, ...],
    offline: bool,
    allow_data_change: bool,
    ranks: int | None,
    on: str | None,
    submit: bool,
) -> None:
    """Run RUN, a TOML file or the name of one that ships.

    What is done is skipped, what was cut off goes on from its last save, what changed is done again; results
    stand in runs/NAME, one folder a stage. What was made before is set aside, and brought back when it is asked for
    again.

    With --ranks several processes train one model, each a share of every step; torchrun and srun start them as well.
    With --on a hardware file of a queue, a batch file is written, and with --submit handed to it.

    SIGTERM, SIGUSR1 and Ctrl-C save and end, with exit code 75 (130 after Ctrl-C); the same command goes on.

    With --rehearse the same stages run from start to report in a minute or so, into runs/NAME-rehearsal: a model with
    the dims of `[rehearse]`, a few steps and rows, and made-up data for what is not here. Nothing is fetched.

    \b
    nanogen run quickstart
    nanogen run my_run.toml --runs /data/runs --dry-run
    nanogen run my_run.toml --from sft
    nanogen run speedrun_h100 --rehearse
    nanogen run speedrun_h100 --ranks 8
    """
    from runtime.faults import Fault
    from stages.data.offline import go_offline, is_offline

    if offline or is_offline():
        go_offline()
    if begin is not None and only:
        raise Fault("`--from` and `--only` both say what to do", "give one of the two")
    if not dry_run and (code := elsewhere(where_of(context), jobs)) is not None:
        context.exit(code)
    _run(context.params)


def _run(given: dict[str, Any]) -> None:
    """Do it by this process, alone or as one of several ranks."""
    from runtime.ranks import Joined
    from stages.running.choice import Choice
    from stages.running.ranks import follow, joined
    from stages.running.runner import Wishes

    run, runs = given["run"], given["runs"]
    with joined() as ranks:
        if isinstance(ranks, Joined) and not ranks.leads:
            follow(ranks, lambda: load_asked(run, runs, rehearse=given["rehearse"]), runs)
            return
        loaded = load_asked(run, runs, rehearse=given["rehearse"])
        show(loaded.document, list(loaded.warnings))
        choice = Choice.of(loaded, only=given["only"], begin=given["begin"])
        if given["dry_run"]:
            _show_plan(loaded, runs, choice)
            return
        wishes = Wishes(choice, given["jobs"], given["allow_data_change"], ranks)
        _do(loaded, run, runs, wishes, given["track"])


def _do(loaded: Run, run: str, runs: Path, wishes: Wishes, track: tuple[str, ...]) -> None:
    """Do what is not done, from its data on."""
    from stages.data.offline import is_offline
    from stages.preflight.checks import refuse
    from stages.progress import Reporter
    from stages.running.runner import execute
    from stages.tracking.attach import tracking

    tell = Reporter()
    to_do = _to_do(loaded, runs, wishes.choice)
    _bring_data(attrs.evolve(loaded, stages=tuple(to_do)), run, tell)
    names, ranks = [stage.name for stage in to_do], wishes.ranks.count
    show(loaded.document, refuse(loaded, runs / loaded.name, names, ranks=ranks))
    with tracking(runs / loaded.name, track, tell.line, offline=is_offline()):
        folder = execute(loaded, runs, tell, wishes, begin=lambda stages: _introduce(loaded, stages, tell))
    _say_what_next(loaded, run, runs, folder, tell)


def _say_what_next(loaded: Run, run: str, runs: Path, folder: Path, tell: Reporter) -> None:
    report = folder / "report.html"
    if report.is_file():
        tell.line(f"report: {report}")
    where = "" if str(runs) == "runs" else f" --runs {runs}"
    if loaded.stand_ins is not None:
        tell.line(f"that was the rehearsal; the run itself: nanogen run {run}{where}")
    elif any(s.uses == "pretrain" for s in loaded.stages):
        for command in ("sample", "chat", "serve"):
            tell.line(f"{command + ':':<7} nanogen {command} {run}{where}")


def _bring_data(loaded: Run, run: str, tell: Reporter) -> None:
    """All data is here before the first stage: fetched where the run says so, or named where nothing may be."""
    from stages.data.offline import is_offline
    from stages.preflight.fetching import check_offline, fetch_asked

    if is_offline():
        check_offline(loaded, run, tell)
    elif loaded.stand_ins is None:
        fetch_asked(loaded, tell)


def _to_do(loaded: Run, runs: Path, choice: Choice) -> list[Stage]:
    """The stages that the command will work on."""
    from stages.running.survey import survey

    found = survey(loaded, runs / loaded.name)
    return [one.stage for one in choice.work(loaded, found)]


def _show_plan(loaded: Run, runs: Path, choice: Choice) -> None:
    from stages.running import listing
    from stages.running.survey import survey

    found = survey(loaded, runs / loaded.name)
    chosen = choice.stages(loaded, found)
    show_rows(listing.rows(found), listing.actions(found, choice, chosen))
    click.echo("nothing was done: this is what the command would do")


def _introduce(run: Run, stages: list[Stage], tell: Reporter) -> None:
    """The card of the run's model; every model of the stages to be done is proven to be what its source builds."""
    if run.compiled is None:
        return
    if run.stand_ins is not None and "rehearse" not in run.document.data:
        tell.line("the run has no table `[rehearse]` of small dims: its model is rehearsed as large as it is")
    from nanogen.lowering import prove
    from nanogen.views.card import card
    from runtime import optimizer_memory

    for compiled in {id(s.compiled): s.compiled for s in stages if s.compiled is not None}.values():
        prove(compiled)
    tell.block(card(run.compiled, optimizer_memory))
    tell.line()
