"""Python, the packages that a run imports, and those that are asked for by name. Imports none of them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from stages.doctor.finding import Finding, missing, ok, untried

OLDEST = (3, 11)
NEEDED = (
    "torch", "numpy", "tomli", "attrs", "cattrs", "click", "networkx", "tiktoken", "rustbpe", "pyarrow", "yaml",
    "safetensors", "aiohttp", "rich", "matplotlib",
)  # fmt: skip
EXTRAS = {"profile": ("tensorboard", "torch_tb_profiler"), "track": ("tensorboard", "wandb")}


def packages() -> Iterator[Finding]:
    """The interpreter first, then what it finds."""
    told = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info[:2] < OLDEST:
        yield missing("python", told, "install Python 3.11 or newer", needed=True)
    else:
        yield ok("python", told)
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        help = "`make test` or `pip install -e .` brings them"
        yield missing("packages", f"not installed: {', '.join(absent)}", help, needed=True)
    else:
        yield ok("packages", f"all {len(NEEDED)} that a run imports; torch {_version('torch')}")
    for extra, names in EXTRAS.items():
        absent = [name for name in names if find_spec(name) is None]
        if absent:
            told, help = f"not installed: {', '.join(absent)}", f"`pip install 'nanogen[{extra}]'`, if wanted"
            yield untried(f"extra {extra}", told, help)
        else:
            yield ok(f"extra {extra}", ", ".join(names))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"
