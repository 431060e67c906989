"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nanogen.compiler import Compiled


def _overrides(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    if not values:
        return {}
    from nanogen.language.spec import read_override

    found: dict[str, Any] = {}
    try:
        for name, value in map(read_override, values):
            if name in found:
                raise click.BadParameter(f"`{name}` is given twice")
            found[name] = value
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return found


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_overrides,
    help="Give a dim or a dial another value, in TOML: --set depth=12, --set 'attn=[2, 5]'. May be repeated.",
)


def set_option_of(spec: str):
    """The same option for one of several specs: `--set-a`."""
    return click.option(
        f"--set-{spec.lower()}",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_overrides,
        help=f"Give a dim or a dial of {spec} another value. May be repeated.",
    )


def _dials(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for value in values:
        fits = re.fullmatch(r"(\w+)=([0-9]{1,9})", value)
        if fits is None:
            raise click.BadParameter(f"`{value}` is not NAME=NUMBER, as in r=8")
        found[fits[1]] = int(fits[2])
    return found


dial_option = click.option(
    "--dial",
    "dials",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_dials,
    help="Where a dial stands: --dial r=8; unsaid, at its default. May be repeated.",
)


SEED = click.IntRange(-(2**63), 2**63 - 1)  # what a tensor holds

runs_option = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Read runs in this folder.",
)


stage_option = click.option(
    "--stage", help="Take the model of this stage of the run; unsaid, of the last one that has one."
)

dtype_option = click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Compute in this; auto is float32 on a CPU, and on a GPU what is fast there.",
)


def compile_spec(name: str, overrides: dict[str, Any]) -> Compiled:
    """Compile a spec that the user named by path or by the name it ships under."""
    from nanogen.compiler import compile_file
    from nanogen.shelf import find

    path = find(name, "model")
    return compile_file(path, overrides, name=_printed(path))


def _printed(path: Path) -> str:
    """The path as people type it: from here, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
