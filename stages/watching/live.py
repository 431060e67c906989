"""Draw a run in place, a few times a second, until it is done or the person leaves: `q`, Ctrl-C, Ctrl-D."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from stages.watching.screen import screen
from stages.watching.watch import Watch

PAUSE = 0.3  # seconds between looks
LEAVES = (b"q", b"Q", b"\x03", b"\x04", b"")


def live(watch: Watch, console: Console) -> None:
    """Show it on a screen of its own; what was seen last stays on the terminal afterwards."""
    sight = watch.look()
    try:
        with _keys() as left, Live(console=console, screen=True, auto_refresh=False) as shown:
            while sight.state != "done":
                picture = screen(
                    sight, console.width, height=console.height, hint="q leaves; the run goes on"
                )
                shown.update(picture, refresh=True)
                if left(PAUSE):
                    break
                sight = watch.look()
    except KeyboardInterrupt:
        pass
    console.print(screen(sight, console.width))


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds, and says whether a key was pressed that leaves."""
    try:
        import termios
        import tty

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)
    except (ImportError, OSError, ValueError, termios.error):
        from time import sleep

        yield lambda seconds: bool(sleep(seconds))
        return

    def left(seconds: float) -> bool:
        ready, _, _ = select.select([number], [], [], seconds)
        return bool(ready) and os.read(number, 1) in LEAVES

    try:
        tty.setcbreak(number)
        yield left
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
