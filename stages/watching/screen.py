"""Draw a run at one moment: stages that are done in a line each, those at work in a block each. Knows nothing of time.

What a model wrote and what a run said is never markup, and reaches a terminal without its control characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nanogen.views.figures import seconds_text
from stages.logs.headline import spelled
from stages.logs.sparkline import sparkline
from stages.printable import printable
from stages.watching.progress import Progress
from stages.watching.watch import Done, Open, Sight

STATES = {"at work": "green", "done": "bold green", "stopped": "bold yellow", "not begun": "dim"}
SAMPLE = 400  # characters
LEAST_SPARK, MOST_SPARK, BESIDE = 10, 60, 50  # characters of a sparkline, and of what stands beside it
FIXED, BLOCK, SAID_LINES, SAMPLE_LINES = (
    6,
    6,
    6,
    7,
)  # lines: of title and edges, of a stage at work, of what follows
UNTRAINED = 2  # lines of a stage at work that does not train
NOTHING = "nothing has begun yet"


def screen(sight: Sight, width: int, *, height: int | None = None, hint: str = "") -> RenderableType:
    """All there is to see, as wide as the terminal; where that is not high enough, what matters least goes first."""
    blocks = sum(BLOCK if stage.progress is not None else UNTRAINED for stage in sight.open)
    room = height - FIXED - blocks if height is not None else 10**6
    parts: list[RenderableType] = [_title(sight)]
    if sight.state == "not begun":
        parts.append(Text(f"  {NOTHING}", style="dim"))
    done = sight.done[-max(1, room) :]
    if len(done) < len(sight.done):
        parts.append(Text(f"  {len(sight.done) - len(done):,} stages before these are done", style="dim"))
    if done:
        parts.append(_done(done))
    for stage in sight.open:
        parts += ["", *_open(stage, width, working=sight.state == "at work")]
    if sight.pending and sight.state != "done":
        parts += ["", _safe(f"then: {', '.join(sight.pending)}", "dim", cut=True)]
    room -= len(done)
    if sight.said and room >= SAID_LINES:
        room -= SAID_LINES
        said = ["", _rule("run.log"), *(_safe(line, "dim", cut=True) for line in sight.said)]
    else:
        said = []
    if sight.sample is not None and room >= SAMPLE_LINES:
        parts += ["", *_sample(*sight.sample)]
    parts += said
    if hint:
        parts += ["", Text(f"  {hint}", style="dim")]
    return Group(*parts)


def plain(sight: Sight, width: int = 100) -> str:
    """The same as text, for where nothing can be drawn."""
    console = Console(width=width, no_color=True, color_system=None, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(screen(sight, width))
    return "\n".join(line.rstrip() for line in captured.get().split("\n")).rstrip("\n")


def _title(sight: Sight) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    name = Text.assemble((printable(sight.name), "bold"), "  ", (sight.state, STATES[sight.state]))
    grid.add_row(name, Text(printable(str(sight.folder)), style="dim"))
    return grid


def _done(stages: tuple[Done, ...]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for widest in (3, max(len(s.name) for s in stages), max(len(s.uses) for s in stages)):
        grid.add_column(no_wrap=True, min_width=min(widest, 24))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="ellipsis", no_wrap=True)
    for stage in stages:
        seconds = "" if stage.seconds is None else seconds_text(stage.seconds)
        grid.add_row(
            Text("  ✓", style="green"),
            Text(printable(stage.name)),
            Text(printable(stage.uses), style="dim"),
            Text(seconds, style="dim"),
            Text(printable(stage.headline)),
        )
    return grid


def _open(stage: Open, width: int, *, working: bool) -> Iterator[RenderableType]:
    found = stage.progress
    mark, style = ("▶", "bold green") if working else ("■", "bold yellow")
    facts = _facts(found) if found is not None else ""
    at = f"at work for {seconds_text(stage.seconds)}" if working else "cut off"
    yield Text.assemble(
        f"{mark} ",
        (printable(stage.name), style),
        "  ",
        (facts or at if working else f"{at}  {facts}", "dim"),
    )
    if found is None:
        return
    yield _bar(found, width, working=working)
    yield from _figures(found, width)
    yield _speed(stage, found)


def _facts(found: Progress) -> str:
    size = "" if found.parameters is None else f"{_short(found.parameters)} parameters"
    device = found.gpu.partition(" x ")[2] if found.gpu else found.device
    narrow = f"{found.float8:.0%} of the matmuls in float8" if found.float8 else ""
    return " · ".join(printable(part) for part in (size, device, found.dtype, narrow) if part)


def _bar(found: Progress, width: int, *, working: bool) -> Text:
    if found.steps is None:
        return Text(f"  step {found.step:,}")
    told = f"  step {found.step:,} of {found.steps:,}"
    if found.left is not None and working and found.step < found.steps:
        told += f"  {seconds_text(found.left)} left"
    share = min(1.0, found.step / max(found.steps, 1))
    told = f" {share:4.0%}{told}"
    cells = max(10, min(60, width - len(told) - 4))
    full = int(share * cells)
    colour = "green" if working else "yellow"
    return Text.assemble("  ", ("█" * full, colour), ("░" * (cells - full), "dim"), told)


def _figures(found: Progress, width: int) -> Iterator[Text]:
    """What steps found, with its course; what evaluations found, with theirs."""
    spark = max(LEAST_SPARK, min(MOST_SPARK, width - BESIDE))
    if found.values:
        name = f"  {spelled(found.shown):<12}"
        yield Text.assemble(
            name, (f"{found.values[-1]:<9.4f}", "bold"), (sparkline(found.values, spark), "cyan")
        )
    if found.validation is not None and found.validation[1]:
        step, figures = found.validation
        told = ", ".join(
            f"{value:.1%} {spelled(name)}" if name.startswith("pass_") else f"{value:.4f} {spelled(name)}"
            for name, value in figures.items()
        )
        course = sparkline(found.validated, spark) if len(found.validated) > 1 else ""
        yield Text.assemble(
            f"  {'validation':<12}", (told, "bold"), (f" at step {step:,}  ", "dim"), (course, "magenta")
        )


def _speed(stage: Open, found: Progress) -> Text:
    """Tokens and FLOPs a second; their share of the peak only where the peak is known."""
    parts = []
    if found.tokens_per_second is not None:
        parts.append(f"{found.tokens_per_second:,.0f} tokens/s")
    if found.flops_per_second is not None:
        parts.append(f"{_short(found.flops_per_second, ' ')}FLOP/s")
        if stage.peak is not None:
            share = found.flops_per_second / stage.peak.flops_per_second
            parts.append(f"MFU {100 * share:.3g}% of {stage.peak.named}")
    if found.tokens:
        parts.append(f"{_short(found.tokens)} tokens")
    if found.seconds is not None:
        parts.append(seconds_text(found.seconds))
    told = f"  {'speed':<12}{' · '.join(parts)}" if parts else "  no step is logged yet"
    return Text(told, style="dim", no_wrap=True, overflow="ellipsis")


def _sample(stage: str, prompt: str, text: str) -> Iterator[RenderableType]:
    yield _rule(f"sample of {stage}")
    shown = text if len(text) <= SAMPLE else text[:SAMPLE] + " …"
    text = " ".join(printable(shown).split())
    yield Padding(Text.assemble((printable(prompt), "bold"), " " * shown[:1].isspace(), text), (0, 2))


def _safe(line: str, style: str, *, cut: bool = False) -> Text:
    safe = printable(line).replace("\t", "    ")
    return Text(f"  {safe}", style=style, no_wrap=cut, overflow="ellipsis" if cut else "fold")


def _rule(title: str) -> Rule:
    return Rule(Text(printable(title), style="dim"), align="left", style="dim", characters="─")


def _short(count: float, space: str = "") -> str:
    """`3.27M`: three digits and a letter."""
    for letter, scale in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g}{space}{letter}"
    return f"{count:.0f}{space}"
