"""Draw curves beside each other: a smoothed line over what was logged, a panel for each thing that was spent.

The same logs draw the same bytes. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from stages.comparing.curve import AXES, Curve, lower_is_better
from stages.comparing.gather import Compared
from stages.comparing.table import name

INK, FAINT, GRID = "#24292f", "#57606a", "#d0d7de"
LINES = ("#0b6bcb", "#c2571a", "#1a7f4b", "#8250df", "#b0235f", "#6e5a00", "#00757f", "#57606a")
SETTLED = 0.05  # of a course: what lies before sets no scale, for every first loss is far above all others
LEAST = 40  # points of a course that is so long that it settles
WIDTH, HEIGHT = 6.6, 4.2  # inches, of a panel
UNITS = {
    "step": (("steps", 1.0),),
    "tokens": (("tokens", 1.0), ("thousand tokens", 1e3), ("million tokens", 1e6), ("billion tokens", 1e9)),
    "flops": tuple(
        (f"{prefix}FLOPs", 10.0**power)
        for prefix, power in (("", 0), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18))
    ),
    "time": (("seconds of training", 1.0), ("minutes of training", 60.0), ("hours of training", 3600.0)),
}


def known_axes(curves: Sequence[Curve]) -> list[str]:
    """What every log says was spent."""
    return [axis for axis in AXES if all(curve.spent[axis] for curve in curves)]


def draw(compared: Compared, axes: Sequence[str], form: str) -> bytes:
    """The picture as "svg" or "png"."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    across = min(2, len(axes))
    down = -(-len(axes) // across)
    with matplotlib.rc_context({"svg.hashsalt": "nanogen", "font.family": "DejaVu Sans"}):
        spaced = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(WIDTH * across, HEIGHT * down + 0.5), layout=spaced)
        panels = figure.subplots(down, across, squeeze=False).flat
        for axis, panel in zip(axes, panels, strict=False):
            _panel(panel, compared, axis)
        for panel in list(panels)[len(axes) :]:
            panel.set_visible(False)
        _legend(figure, compared.curves)
        with io.BytesIO() as file:
            metadata = {"Date": None} if form == "svg" else {"Software": None}
            figure.savefig(file, format=form, dpi=150, metadata=metadata, facecolor="white")
            return file.getvalue()


def _panel(panel: Any, compared: Compared, axis: str) -> None:
    longest = max(curve.most(axis) or 0.0 for curve in compared.curves)
    unit, scale = [u for u in UNITS[axis] if longest >= u[1]][-1:][0] if longest >= 1 else UNITS[axis][0]
    for place, curve in enumerate(compared.curves):
        colour = LINES[place % len(LINES)]
        at = [spent / scale for spent in curve.spent[axis]]
        if curve.checked:
            panel.plot(at, curve.values, color=colour, linewidth=1.6, marker="o", markersize=4)
        else:
            panel.plot(at, curve.values, color=colour, linewidth=0.8, alpha=0.25)
            panel.plot(at, curve.smooth, color=colour, linewidth=1.8)
    _look(panel, name(compared.figure), unit)
    panel.set_ylim(*_range(compared.curves))


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    """From the best value to the worst that a settled course has, with a margin."""
    settled = [c.values[int(len(c.values) * SETTLED) if len(c.values) >= LEAST else 0 :] for c in curves]
    low, high = min(map(min, settled)), max(map(max, settled))
    if not lower_is_better(curves[0].figure):
        low, high = min(min(c.values) for c in curves), max(max(c.values) for c in curves)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _look(panel: Any, title: str, below: str) -> None:
    panel.set_title(title, loc="left", fontsize=11, color=INK)
    panel.set_xlabel(below, fontsize=9.5, color=FAINT)
    panel.tick_params(colors=FAINT, labelsize=8.5, length=0)
    panel.grid(color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.margins(x=0.02)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _legend(figure: Any, curves: Sequence[Curve]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=LINES[place % len(LINES)], linewidth=2, label=_plain(curve.label))
        for place, curve in enumerate(curves)
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(4, len(curves)),
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
    )


def _plain(label: str) -> str:
    """A name is no formula, and one that opens with `_` is no secret: matplotlib would take it so."""
    return "\N{ZERO WIDTH SPACE}" * label.startswith("_") + label.replace("$", r"\$")
