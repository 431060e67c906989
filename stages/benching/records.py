"""Figures of this machine, kept as JSON lines, and the last ones that can be held against new ones.

A line says what was measured and on what: no names of people, hosts or folders.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from attrs import field, frozen

from nanogen.compiler import Compiled
from runtime.faults import Fault
from stages.benching.samples import Figure
from stages.benching.starting import HOME
from stages.code_version import source_digest

CHECKOUT = Path("tests/bench")  # where a checkout keeps them
ELSEWHERE = Path("~/.cache/nanogen/bench")
SAME = ("what", "machine", "device", "threads", "dtype", "compiled", "spec", "dims", "sizes")


@frozen
class Record:
    """What was measured once: on what, of what, and the figures by name."""

    facts: dict[str, Any]
    figures: dict[str, Figure]
    notes: tuple[str, ...] = field(default=())

    @property
    def key(self) -> tuple[str, ...]:
        """Equal of two records whose figures can be held against each other."""
        return tuple(json.dumps(self.facts.get(name), sort_keys=True) for name in SAME)

    def line(self) -> str:
        figures = {name: figure.kept() for name, figure in self.figures.items()}
        told = {"notes": list(self.notes)} if self.notes else {}
        return json.dumps({**self.facts, "figures": figures, **told})

    @classmethod
    def read(cls, line: str) -> Record:
        kept = json.loads(line)
        figures = {name: Figure.read(one) for name, one in kept.pop("figures").items()}
        return cls(figures=figures, notes=tuple(kept.pop("notes", ())), facts=kept)


def folder_of(asked: Path | None) -> Path:
    """Where records are kept: as asked, in the checkout that this is called in, or in the user's cache."""
    if asked is not None:
        return asked
    return CHECKOUT if CHECKOUT.is_dir() else ELSEWHERE.expanduser()


def keep(folder: Path, record: Record) -> Path:
    """Append a record to the file of its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.facts['what']}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(record.line() + "\n")
    return path


def last_like(folder: Path, record: Record) -> Record | None:
    """The newest record of the same kind on the same machine; raises Fault where a line is none."""
    path, found = folder / f"{record.facts['what']}.jsonl", None
    if not path.is_file():
        return None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            kept = Record.read(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            message = f"line {number} of `{path}` is no record of a benchmark"
            raise Fault(message, "take that line out, or keep records elsewhere with `--into`") from None
        if kept.key == record.key:
            found = kept
    return found


# -- what stands in a record beside the figures


def facts(what: str, compiled: Compiled, spec: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """What can be told before anything is measured."""
    return {
        "what": what,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "spec": spec,
        "dims": overrides,
        "digest": hashlib.sha256(compiled.source.encode()).hexdigest()[:12],
        "parameters": compiled.blueprint["count"],
    }


def machine_facts(environment: dict[str, str], memory: int) -> dict[str, Any]:
    """The machine by what it is made of; two that are alike are the same."""
    parts = [environment.get("gpu") or environment["processor"], f"{memory / 2**30:.0f} GiB"]
    return {
        "machine": ", ".join(parts),
        "platform": environment["platform"],
        "threads": int(environment["threads"]),
        "torch": environment["torch"],
        "python": environment["python"],
    }


def commit() -> str:
    """The commit of this checkout, with a `+` where files differ from it; without Git, a hash of the source."""
    told = _git("rev-parse", "--short=12", "HEAD")
    if told is None:
        return f"source {source_digest(HOME)[:12]}"
    return told + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    if not (HOME / ".git").exists():  # an installed package may lie below somebody else's repository
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
