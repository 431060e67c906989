"""What people see while a run works: lines that stay, and one line that moves.

On a terminal the moving line is drawn in place; elsewhere it is printed now and then. Knows nothing of stages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field
from rich.console import Console
from rich.text import Text

from nanogen.views.figures import seconds_text

EVERY = 10.0  # seconds between lines where nothing can be drawn in place
BAR = 24  # characters


@define
class Bar:
    """The moving line of one piece of work of `total` parts, some of which may have been done before."""

    console: Console
    what: str
    total: int
    done: int = 0
    started: float = field(factory=time.monotonic)
    before: int = field(init=False)
    shown: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.before = self.done

    def advance(self, done: int, text: str = "") -> None:
        """Say how far the work is; `text` is what else to show."""
        self.done = done
        now = time.monotonic()
        live = self.console.is_terminal
        if now - self.shown < (0.1 if live else EVERY) and done < self.total:
            return
        self.shown = now
        line = self.line(now - self.started, text)
        if live:
            self.console.print(f"\r\x1b[2K{line}", end="", highlight=False, markup=False, soft_wrap=True)
        else:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def line(self, seconds: float, text: str) -> str:
        share = self.done / max(self.total, 1)
        bar = "█" * int(share * BAR) + "░" * (BAR - int(share * BAR))
        fresh = self.done - self.before
        left = seconds / fresh * (self.total - self.done) if fresh else 0.0
        time_text = (
            f"{seconds_text(left)} left" if self.done < self.total else f"took {seconds_text(seconds)}"
        )
        return f"  {self.what} {bar} {self.done:,}/{self.total:,}  {text}  {time_text}"

    def close(self) -> None:
        if self.console.is_terminal and self.shown:
            self.console.print()


@define
class Reporter:
    """Tells a run's story to the terminal, and lines that stay to a file, where one is given.

    `name` stands before every line where stages tell theirs side by side.
    """

    console: Console = field(factory=lambda: Console(highlight=False))
    log: Path | None = None
    name: str = ""

    def stage(self, name: str, text: str) -> None:
        self._note(f"{name}  {text}")
        self.console.print(Text.assemble(self._before, (name, "bold"), "  ", text), soft_wrap=True)

    def line(self, text: str = "") -> None:
        """Print a line that stays; never read as markup, for it may hold what a model wrote."""
        self._note(f"  {text}" if text else "")
        before = self._before
        self.console.print(f"{before}  {text}" if text else before, markup=False, soft_wrap=True)

    @property
    def _before(self) -> str:
        return f"{self.name} | " if self.name else ""

    def _note(self, text: str) -> None:
        if self.log is not None:
            with self.log.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{self._before}{text}".rstrip() + "\n")

    def block(self, text: str) -> None:
        for line in text.split("\n"):
            self.line(line)

    @contextmanager
    def bar(self, what: str, total: int, done: int = 0) -> Iterator[Bar]:
        bar = Bar(self.console, f"{self._before}{what}", total, done)
        try:
            yield bar
        finally:
            bar.close()
