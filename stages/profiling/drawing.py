"""Tables of a profile for people."""

from __future__ import annotations

from rich import box
from rich.table import Table as Drawn
from rich.text import Text

from stages.profiling.table import Row, Table

BAR = 16  # characters of a whole step
ONE_WAY = ("optimizer", "loader", "the rest", "the device waits")  # no pass of the model


def draw(table: Table) -> Drawn:
    """A line a kind and a line a part; where a peak is known, how near it is."""
    found = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    found.add_column(table.way, no_wrap=True)
    for head in ("forward", "backward", "step", "share"):
        found.add_column(head, justify="right", no_wrap=True)
    found.add_column("", no_wrap=True, style="cyan")
    reached = any(row.flops is not None for row in table.rows)
    rated = any(row.least is not None for row in table.rows)
    for head, wanted in (("matmuls", reached), ("of roofline", rated)):
        if wanted:
            found.add_column(head, justify="right", no_wrap=True)
    for row in table.rows:
        cells = _cells(row)
        if reached:
            cells.append(_rate(row.flops))
        if rated:
            cells.append(f"{row.least:.0%}" if row.least is not None else "")
        found.add_row(*cells, style="dim" if row.line.part else "")
    return found


def _cells(row: Row) -> list[str | Text]:
    name = f"  {row.line.part}" if row.line.part else row.line.kind
    one_way = row.line.kind in ONE_WAY and not row.backward
    ways = ["", ""] if one_way else [_ms(row.forward), _ms(row.backward)]
    bar = "" if row.line.part else "█" * round(row.share * BAR)
    return [name, *ways, _ms(row.seconds), f"{row.share:.1%}", bar]


def _ms(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.1f} ms" if ms >= 0.05 else "0 ms" if not ms else "< 0.1 ms"


def _rate(flops: float | None) -> str:
    if flops is None:
        return ""
    return f"{flops / 1e12:,.3g} TFLOP/s" if flops >= 1e12 else f"{flops / 1e9:,.3g} GFLOP/s"


def heading(table: Table) -> str:
    """What was measured: the step as it is, and as the profiler slows it."""
    slower = table.profiled / table.plain - 1 if table.plain else 0.0
    rated = any(row.least is not None for row in table.rows)
    held = f"roofline of {table.hardware}" if rated else _lacking(table)
    return (
        f"{table.way}, {table.device}, {table.dtype}: a step takes {table.plain * 1e3:,.0f} ms, "
        f"{table.profiled * 1e3:,.0f} under the profiler ({slower:+.0%}), {table.steps} steps; {held}"
    )


def _lacking(table: Table) -> str:
    if table.hardware:
        return f"{table.hardware} has no peak in {table.dtype}"
    return "peak unknown: `--on HARDWARE` names one"
