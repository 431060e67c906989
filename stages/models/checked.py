"""Check a folder before anything of it is used: every file against its manifest, and no pickle among them.

What was checked in this process and has not changed since is not read again. Knows nothing of what files mean.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.faults import Fault
from runtime.manifest import NAME, Checking, check_files, whole_manifest

if TYPE_CHECKING:
    from stages.progress import Reporter

SHOWN = 256 << 20  # bytes: a folder that is larger shows how far the check is
MB = 10**6


def check_input(folder: Path, tell: Reporter | None = None) -> dict[str, Any]:
    """The manifest of a stage's folder that is whole: a corpus, a tokenizer, a model, figures.

    Raises Fault that names the first file that differs, with both hashes. Files that are not listed are told of.
    """
    if not (folder / NAME).is_file():
        raise Fault(f"`{folder}` is not finished: it has no manifest", "run the stage that fills it")
    manifest = whole_manifest(folder)
    size = sum(fact["bytes"] for fact in manifest["files"].values())
    long = tell is not None and size > SHOWN
    with tell.bar(f"checking {folder.name}, MB", size // MB) if tell and long else nullcontext() as bar:
        who = Checking()
        if tell is not None:
            who.tell = tell.line
        if bar is not None:
            who.progress = lambda done: bar.advance(done // MB)
        check_files(folder, manifest, who)
    return manifest
