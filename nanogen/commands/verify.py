"""`nanogen verify`: proofs of what is promised, on one's own run and machine."""

from __future__ import annotations

from pathlib import Path

import click

from nanogen.commands.faults import USER
from nanogen.commands.stages import load_asked
from nanogen.shelf import find


@click.group("verify")
def command() -> None:
    """Prove what is promised, on your own run and machine.

    \b
    nanogen verify resume quickstart
    """


@command.command("resume")
@click.argument("run")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Work in this folder, below `.verify`.",
)
@click.option(
    "--full", is_flag=True, help="With the model as large as it is, in place of the dims of `[rehearse]`."
)
@click.option("--keep", is_flag=True, help="Keep what was made.")
def resume(run: str, runs: Path, full: bool, keep: bool) -> None:
    """Prove that RUN, killed in each stage that trains, ends with the same bits as without.

    Its rehearsal is done twice, with few steps and a save after each: once without a pause, and once killed (SIGKILL)
    in every stage that trains and started again. Weights, logs, results and the report are compared byte by byte; only
    what clocks measured is left out. Exit code 1 where anything differs.

    \b
    nanogen verify resume quickstart
    nanogen verify resume my_run.toml --full
    """
    import shutil

    from stages.progress import Reporter
    from stages.runfile.load import load_run
    from stages.running.comparison import files_of
    from stages.running.verification import verify_resume

    loaded = load_asked(run, runs, rehearse=True)
    if full:
        loaded = load_run(find(run, "run"), stand_ins=loaded.stand_ins, full=True)
    tell, folder = Reporter(), runs / ".verify"
    proof = verify_resume(loaded, folder, full=full, tell=tell)
    straight = folder / "straight" / loaded.name
    killed = dict(proof.killed)
    for stage in loaded.stages:
        names = list(files_of(stage, straight / stage.name))
        wrong = [d for d in proof.differing if d.stage == stage.name]
        how = f", killed after step {killed[stage.name]}" if stage.name in killed else ""
        state = "equal" if not wrong else "DIFFERS"
        tell.line(f"{stage.name}{how}: {len(names)} files {state}")
        for difference in wrong:
            tell.line(f"  {difference}")
    if proof.differing:
        click.echo(
            f"not proven: {len(proof.differing)} differences; both runs are kept in {folder}", err=True
        )
        raise click.exceptions.Exit(USER)
    if not keep:
        shutil.rmtree(folder)
    tell.line(
        f"proven: killed in {len(killed)} stages, the run ends with the same bits; the report is the same"
    )
