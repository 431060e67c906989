"""Numbers and tables as people read them: units, thousands, columns. Knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def bytes_text(count: float) -> str:
    """`73.5 MiB`; three digits and a unit."""
    step = 0
    while count >= 1024 and step < len(_BYTES) - 1:
        count, step = count / 1024, step + 1
    return (
        f"{count:,.0f} B"
        if step == 0
        else f"{count:.3g} {_BYTES[step]}"
        if count < 1000
        else f"{count:,.0f} {_BYTES[step]}"
    )


def seconds_text(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def columns(rows: Sequence[Sequence[str]], *, right: bool = True) -> str:
    """Align rows of cells: the first column to the left, the others to the right."""
    count = max(len(row) for row in rows)
    widths = [max((len(row[c]) for row in rows if c < len(row)), default=0) for c in range(count)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(widths[c + 1]) if right else cell.ljust(widths[c + 1])
            for c, cell in enumerate(row[1:])
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
