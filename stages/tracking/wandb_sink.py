"""A log as Weights & Biases takes it: one of its runs a stage, all in a group. It is never asked for anything.

Without a key or a network its runs are written to a folder, which `wandb sync` sends. The package is optional.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from runtime.faults import Fault
from stages.tracking.ledger import Mark
from stages.tracking.sink import Line, Stage

FOLDER = "wandb"
HOST = "https://api.wandb.ai"
PROJECT = "nanogen"
QUIET = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_DISABLE_CODE": "true"}
REACHED_WITHIN = 3.0  # seconds


@define
class Wandb:
    """Runs of one project."""

    run: Path
    offline: bool
    told: str = field(default="", init=False)

    def new_id(self) -> str:
        return secrets.token_hex(4)

    def about(self) -> str:
        return self.told

    def open(self, stage: Stage, mark: Mark) -> WandbRun:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        wandb = _package()
        mode, why = _mode(wandb, self.offline)
        folder = self.run / ".tracking"
        folder.mkdir(exist_ok=True)
        opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=f"{stage.run}/{mark.name}",
            id=mark.id,
            group=stage.run,
            job_type=stage.uses or mark.stage,
            dir=str(folder),
            mode=mode,
            resume="allow",
            config=stage.facts,
            reinit="create_new",  # stages that work side by side have their runs side by side
        )
        opened.define_metric("step")
        opened.define_metric("*", step_metric="step")
        if mode == "offline":
            self.told = f"{why}: written to {folder / FOLDER}, which `wandb sync` sends"
        else:
            self.told = str(getattr(opened, "url", None) or "sent")
        return WandbRun(opened, int(getattr(opened, "starting_step", 0) or 0))


@define
class WandbRun:
    """An open run. Its own step is the number of the line, so that a line that it has is not taken twice."""

    opened: Any
    has: int  # lines

    def send(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.number >= self.has:
                self.opened.log({"step": line.step, **line.figures}, step=line.number)

    def close(self) -> None:
        self.opened.finish()


def _package() -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]  (optional)
    except ImportError:
        raise Fault("the package `wandb` is not installed", "`pip install 'nanogen[track]'`") from None
    return wandb


def _mode(wandb: Any, offline: bool) -> tuple[str, str]:
    """What the user set, or online where that can work; and why not where it cannot."""
    if asked := os.environ.get("WANDB_MODE"):
        return asked, "as `WANDB_MODE` says"
    if offline:
        return "offline", "as asked"
    if not (os.environ.get("WANDB_API_KEY") or getattr(getattr(wandb, "api", None), "api_key", None)):
        return "offline", "no key (`wandb login`)"
    url = urlsplit(os.environ.get("WANDB_BASE_URL") or HOST)
    try:
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname or "", port), timeout=REACHED_WITHIN).close()
    except (OSError, ValueError):
        return "offline", f"{url.hostname} is not reached"
    return "online", ""
