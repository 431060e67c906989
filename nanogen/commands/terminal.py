"""A conversation in the terminal: what is typed, what is printed, and the commands that begin with `/`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, evolve, field
from rich.console import Console

from nanogen.text.diagnostics import nearest
from runtime.dials import check_dials
from runtime.faults import Fault
from stages.evaluating.writing import printable

if TYPE_CHECKING:
    from stages.models.trained import Trained
    from stages.talk import Talk

PROMPT = "> "


@define(eq=False)
class Terminal:
    """A talk with a person, or with what is piped in."""

    talk: Talk
    trained: Trained
    console: Console = field(factory=lambda: Console(highlight=False, soft_wrap=True))

    def run(self) -> None:
        """Until the person leaves."""
        with suppress(ImportError):
            import readline  # noqa: F401  (it gives `input` a history and an editor)
        self.banner()
        while (line := self.typed()) is not None:
            try:
                if line.startswith("/"):
                    if self.command(line) is False:
                        return
                elif line.strip():
                    self.answer(line)
            except Fault as fault:
                self.note(f"{fault.message}; {fault.help}" if fault.help else fault.message)
            except KeyboardInterrupt:  # pressed as the answer ended by itself
                self.console.print()

    def banner(self) -> None:
        self.console.print(self.trained.describe(), style="bold", markup=False)
        if self.trained.format.name == "plain":
            self.note("a base model: it goes on with what you write")
        self.note("/help tells what can be typed; Ctrl-C ends an answer, Ctrl-D the conversation")

    def typed(self) -> str | None:
        """The next message, or None at the end; a line that ends with `\\` goes on with the next."""
        lines: list[str] = []
        shown = PROMPT if sys.stdin.isatty() else ""
        while True:
            try:
                line = input(shown if not lines else shown and "  ")
            except EOFError:
                self.console.print() if shown else None
                return "\n".join(lines) or None
            except KeyboardInterrupt:  # what was typed is dropped, as in a shell
                self.console.print()
                lines = []
                continue
            if line.endswith("\\"):
                lines.append(line[:-1])
            else:
                return "\n".join([*lines, line])

    def note(self, text: str) -> None:
        self.console.print(text, style="dim", markup=False)

    # -- answers

    def answer(self, text: str) -> None:
        """Print the answer to a message as it is written; Ctrl-C ends it, and what is there stays said."""
        left_out, begun, kind = self.talk.left_out, time.perf_counter(), "text"
        with _interrupted() as asked:
            parts = self.talk.ask(text)
            for part in parts:
                if part.kind != kind:
                    self.say({"python": " [", "output": " = ", "text": "] "}[part.kind], "cyan")
                    kind = part.kind
                self.say(printable(part.text), "" if kind == "text" else "cyan")
                if asked():
                    break
            parts.close()
        self.say("]\n" if kind != "text" else "\n")
        if self.console.is_terminal:
            self.told(time.perf_counter() - begun, left_out, stopped=asked())

    def say(self, text: str, style: str = "") -> None:
        self.console.print(text, end="", style=style, markup=False)
        self.console.file.flush()

    def told(self, seconds: float, left_out: int, *, stopped: bool) -> None:
        """What there is to say about an answer."""
        talk = self.talk
        rate = f"{talk.written:,} tokens, {talk.written / max(seconds, 1e-9):,.0f} a second"
        ends = {"length": ", cut off: its tokens or the context are used up"}.get(talk.reason, "")
        self.note(f"({rate}{', stopped' if stopped else ends})")
        if talk.left_out > left_out:
            self.note(
                f"(the first {talk.left_out:,} messages no longer fit into the context and were left out)"
            )

    # -- commands

    def command(self, line: str) -> bool | None:
        """Do what a line asks that begins with `/`; False ends the conversation."""
        name, _, value = line[1:].strip().partition(" ")
        commands = self.commands()
        if name not in commands:
            raise Fault(f"there is no command `/{name}`", f"{nearest(name, commands)}; `/help` tells all")
        return commands[name][1](value.strip())

    def commands(self) -> dict[str, tuple[str, Callable[[str], bool | None]]]:
        sampling, talk = self.talk.sampling, self.talk
        found: dict[str, tuple[str, Callable[[str], bool | None]]] = {
            "temperature": (
                f"how freely words are drawn, 0 is greedy; now {sampling.temperature:g}",
                self.temperature,
            ),
            "topk": (f"draw from the k likeliest tokens; now {sampling.top_k or 'all'}", self.top_k),
            "tokens": (f"of an answer, at most; now {talk.tokens:,}", self.tokens),
        }
        if self.trained.dials:
            now = ", ".join(f"{n}={talk.dials.get(n, d['default'])}" for n, d in self.trained.dials.items())
            found["dial"] = (f"set a dial, as in `/dial r=8`; now {now}", self.dial)
        return found | {
            "clear": ("begin a new conversation", lambda _: self.talk.clear()),
            "save": ("write the conversation to a file, as Markdown: `/save FILE`", self.save),
            "help": ("this list", self.help),
            "quit": ("leave; so does Ctrl-D", lambda _: False),
        }

    def help(self, _: str) -> None:
        for name, (what, _do) in self.commands().items():
            self.note(f"/{name:<12} {what}")
        self.note("a line that ends with \\ goes on with the next one")

    def temperature(self, value: str) -> None:
        self.talk.sampling = evolve(self.talk.sampling, temperature=_number(value, float, least=0))

    def top_k(self, value: str) -> None:
        self.talk.sampling = evolve(self.talk.sampling, top_k=_number(value, int, least=1))

    def tokens(self, value: str) -> None:
        self.talk.tokens = int(_number(value, int, least=1))

    def dial(self, value: str) -> None:
        name, _, number = value.partition("=")
        asked = {name.strip(): int(_number(number.strip(), int, least=0))}
        self.talk.dials = self.talk.dials | check_dials(self.trained.dials, asked)

    def save(self, value: str) -> None:
        if not value:
            raise Fault("a file is wanted", "as in `/save talk.md`")
        path = Path(value).expanduser()
        if path.exists():
            raise Fault(f"`{path}` exists", "name another file")
        texts = [f"**{m.role}**\n\n{m.text.strip()}\n" for m in self.talk.messages]
        try:
            path.write_text("\n".join([f"# {self.trained.name}\n", *texts]), encoding="utf-8")
        except OSError as error:
            raise Fault(f"`{path}` cannot be written: {error.strerror}") from None
        self.note(f"{len(texts):,} messages in {path}")


def _number(value: str, kind: type, *, least: float) -> float:
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or not number >= least or number == float("inf"):
        raise Fault(f"`{value}` is no {'whole ' if kind is int else ''}number of at least {least}")
    return number


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed within the block, where it breaks nothing off; a second one does."""
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
