"""Records as a table for people: each figure, how far it moved, what it was the last time, and whether that is noise."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nanogen.views.figures import bytes_text
from stages.benching.records import Record
from stages.benching.samples import Figure

TITLES = {"train": "training", "decode": "decoding", "compile": "compiling", "start": "starting"}
NAMES = {
    "tokens": "throughput",
    "flops": "matmuls",
    "memory": "memory, at most",
    "cold": "with an empty cache",
    "warm": "from the cache",
    "check": "nanogen check",
    "compile": "nanogen compile",
}
COLUMNS = {
    "": 21,
    "median": 14,
    "share": 5,
    "spread": 7,
    "last time": 14,
    "change": 7,
    " ": 13,
}  # and their widths
OF = ", bandwidth"  # behind the name of a rate: its share of what that allows
WIDTH = 100  # of a page, where no terminal says another
EVEN = 0.005  # less than this is not called a change


def table(pairs: Sequence[tuple[Record, Record | None]]) -> Group:
    """One block a record; beside each the last like it, where there is one."""
    blocks: list[RenderableType] = []
    for place, (record, before) in enumerate(pairs):
        blocks += [Text(), Text(heading(record), style="bold"), _block(record, before, place == 0)]
        blocks += [Text(f"  {note}", style="dim") for note in record.notes]
    return Group(*blocks)


def _block(record: Record, before: Record | None, head: bool) -> Table:
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=head, header_style="dim")
    for place, (name, width) in enumerate(COLUMNS.items()):
        left = place in (0, len(COLUMNS) - 1)
        found.add_column(name, justify="left" if left else "right", no_wrap=True, min_width=width)
    for name, figure in record.figures.items():
        if name != "mfu" and not name.endswith(OF):  # it stands beside its rate
            found.add_row(*_row(record, before, name, figure))
    return found


def heading(record: Record) -> str:
    """What was measured, of what."""
    facts = record.facts
    dims = " ".join(f"{name}={value}" for name, value in facts["dims"].items() if not isinstance(value, list))
    sizes = facts["sizes"]
    rows = f"{sizes['rows']} x {sizes['length']:,} tokens" if "rows" in sizes else ""
    how = f"{facts['dtype']} {'compiled' if facts['compiled'] else 'eager'}" if facts["dtype"] else ""
    said = [f"{TITLES[facts['what']]} {facts['spec']}", dims, rows, how]
    return ", ".join(filter(None, said))


def _row(record: Record, before: Record | None, name: str, figure: Figure) -> list[Text | str]:
    share = record.figures.get("mfu" if name == "flops" else name + OF)
    of = f"{share.median:.0%}" if share is not None else ""
    last = before.figures.get(name) if before is not None else None
    spread = f"± {figure.spread / 2:.1%}" if figure.samples > 1 else "once"
    told = [f"  {NAMES.get(name, name)}", value_text(figure), of, spread]
    if last is None:
        return [*told, "", Text("new", style="dim"), ""]
    return [*told, value_text(last), _change(figure, last), _noise(figure, last)]


def _change(figure: Figure, last: Figure) -> Text:
    change = figure.changed(last)
    if abs(change) < EVEN:
        return Text("same", style="dim")
    text = f"{change:+.1%}"
    if not figure.beyond_noise(last):
        return Text(text)
    return Text(text, style="green" if (change > 0) == figure.more_is_better else "red")


def _noise(figure: Figure, last: Figure) -> Text:
    if abs(figure.changed(last)) < EVEN:
        return Text("")
    beyond = figure.beyond_noise(last)
    if beyond is None:
        return Text("measured once", style="dim")
    return Text("beyond noise", style="bold") if beyond else Text("within noise", style="dim")


def value_text(figure: Figure) -> str:
    """A figure with its unit."""
    value = figure.median
    match figure.unit:
        case "bytes":
            return bytes_text(value)
        case "FLOP/s":
            return _scaled(value, "FLOP/s")
        case "s":
            return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    return f"{value:,.0f} {figure.unit}"


def _scaled(value: float, unit: str) -> str:
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {letter}{unit}"
    return f"{value:.3g} {unit}"


def machine_line(record: Record) -> str:
    """The machine that all records of one call are of."""
    facts = record.facts
    threads = f"{facts['threads']} thread{'s' if facts['threads'] != 1 else ''}"
    return f"{facts['machine']}, {threads}, torch {facts['torch']}, commit {facts['commit']}"
