"""The command line. Commands are names here and imported when used, so that none pays for another."""

from __future__ import annotations

import importlib
import os
import sys

import click

COMMANDS = {  # name: (module, one line for the list)
    "check": ("nanogen.commands.check", "Find every fault of specs, runs, hardware and data files."),
    "compile": ("nanogen.commands.compile", "Compile a spec: its card, and its PyTorch source."),
    "show": ("nanogen.commands.show", "Show every layer of a spec, or one or a loop from within."),
    "diff": ("nanogen.commands.diff", "Compare two specs: layers, costs, and whether a checkpoint loads."),
    "graph": ("nanogen.commands.graph", "Draw a spec as an SVG."),
    "explain": ("nanogen.commands.explain", "Explain the code of a diagnostic, or the values of a run."),
    "flops": ("nanogen.commands.flops", "Count what specs cost, side by side; match, spend, plot."),
    "import": ("nanogen.commands.import_", "Import published weights as a trained model."),
    "data": ("nanogen.commands.data", "Look at the conversations and counts of a run's mixtures."),
    "fetch": ("nanogen.commands.fetch", "Get all data that a run needs, before it starts."),
    "plan": ("nanogen.commands.plan", "Say what a run takes: hours, dollars, memory, disk."),
    "run": ("nanogen.commands.run", "Run a run file: from text to a model that writes."),
    "status": ("nanogen.commands.status", "Show what stands of a run, and why anything is stale."),
    "verify": ("nanogen.commands.verify", "Prove that a run goes on to the bit after a kill."),
    "clean": ("nanogen.commands.clean", "Remove old results of a run."),
    "watch": ("nanogen.commands.watch", "Watch a run as it works, in the terminal."),
    "compare": ("nanogen.commands.compare", "Compare runs: their curves, and which is ahead."),
    "track": ("nanogen.commands.track", "Send the log of a run to TensorBoard or Weights & Biases."),
    "report": ("nanogen.commands.report", "Write the report of a run again, done or not."),
    "sample": ("nanogen.commands.sample", "Let a trained model write."),
    "chat": ("nanogen.commands.chat", "Talk with a trained model in the terminal."),
    "serve": ("nanogen.commands.serve", "Serve a trained model: a chat page, and OpenAI's API."),
    "bench": ("nanogen.commands.bench", "Measure how fast this machine trains, decodes, compiles, starts."),
    "profile": ("nanogen.commands.profile", "See where a step of a run's stage spends its time."),
    "doctor": ("nanogen.commands.doctor", "See what this machine offers, what it lacks, and what to do."),
    "schema": ("nanogen.commands.schema", "Print the JSON Schema of specs, libraries or runs, for editors."),
}


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]):
        from nanogen.text.diagnostics import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"there is no command `{args[0]}`; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib import metadata

        try:
            click.echo(f"nanogen {metadata.version('nanogen')}")
        except metadata.PackageNotFoundError:
            click.echo("nanogen, from a checkout that is not installed")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def cli() -> None:
    """Language models declared in TOML: checked, counted, compiled to PyTorch, trained.

    \b
    nanogen check my_model.toml                  every fault, with its place and what to do
    nanogen explain NG203                        what a fault means, and how it is put right
    nanogen compile saint_iberis_d20             what a spec is, and what it costs
    nanogen show saint_iberis_d20 --layer 3      every equation of a layer, with its share
    nanogen diff nanochat_2025 saint_iberis_d20  what sets two specs apart
    nanogen flops looped --dial r=1,4,16         what it costs at several numbers of turns
    nanogen fetch speedrun_h100                  get its data; --dry-run tells how much
    nanogen plan speedrun_h100 --on h100x8       hours, dollars and memory, before it runs
    nanogen run quickstart                       train a small model from start to report
    nanogen status quickstart                    what stands of it, and why anything is stale
    nanogen watch quickstart                     how far it is, while it works
    nanogen chat quickstart                      talk with it
    nanogen serve quickstart                     a chat page, and an API that tools speak
    nanogen COMMAND -h                           what a command does, with examples
    """


def main() -> None:
    """Run the command line: exit 0 clean, 1 for a fault of what the user gave, 2 for wrong usage, 70 for ours,

    75 when a signal stopped a run that will go on when it is called again, 130 after Ctrl-C.
    """
    from nanogen.commands.faults import explain, stopped

    try:
        sys.exit(cli.main(prog_name="nanogen", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except BrokenPipeError:  # who read the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        sys.exit(explain(error))
    except BaseException as ended:
        if (code := stopped(ended)) is None:
            raise
        sys.exit(code)
