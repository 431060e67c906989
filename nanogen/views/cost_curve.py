"""Draw what a token costs to train over the length of its row, one line a model, as SVG or PNG.

The same models draw the same bytes. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from nanogen.answers.flops import training_per_token
from nanogen.graph import Graph

SHORTEST, BEYOND = 256, 4  # tokens of the first row, and how many contexts long the last one is
POINTS = 49
INK, FAINT = "#24292f", "#57606a"
LINES = ("#0b6bcb", "#c2571a", "#1a7f4b", "#8250df", "#b0235f", "#6e5a00", "#00757f", "#57606a")
ROUND = (  # digits that a scale may stand at, the coarsest that are enough
    (1,),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    tuple(1 + step / 2 for step in range(18)),
    tuple(1 + step / 5 for step in range(45)),
    tuple(1 + step / 10 for step in range(90)),
    tuple(1 + step / 100 for step in range(900)),
)
GAP = 0.055  # of the height, between labels


def draw(models: Sequence[tuple[str, Graph]], path: Path) -> None:
    """Draw labelled models into a file; its ending says how."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    longest = BEYOND * max(graph.context for _, graph in models)
    first = SHORTEST if longest >= 2 * SHORTEST else ceil(longest / 16)  # of a model of very short rows
    lengths = row_lengths(first, longest)
    with matplotlib.rc_context({"svg.hashsalt": "nanogen", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(8.4, 4.6), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        axes = figure.add_subplot()
        ends = []
        for place, (label, graph) in enumerate(models):
            colour = LINES[place % len(LINES)]
            costs = [training_per_token(graph, n) for n in lengths]
            axes.plot(lengths, costs, color=colour, linewidth=1.8)
            if graph.context >= first:
                own = training_per_token(graph, graph.context)
                axes.plot([graph.context], [own], marker="o", markersize=5, color=colour, clip_on=False)
            ends.append((costs[-1], label, colour))
        _scales(axes, lengths)
        _look(axes)
        _label(axes, lengths[-1], ends)
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, format=path.suffix[1:], dpi=160, metadata=metadata)


def row_lengths(first: int, last: int) -> list[int]:
    """Lengths at even ratios, both ends included."""
    steps = (first * (last / first) ** (step / (POINTS - 1)) for step in range(POINTS))
    return sorted({*map(round, steps), first, last})


def _scales(axes: Any, lengths: list[int]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(lengths[0], lengths[-1])
    axes.yaxis.set_major_locator(FixedLocator(round_numbers(*axes.get_ylim())))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: flops_text(value)))
    powers = [2**k for k in range(64) if lengths[0] <= 2**k <= lengths[-1]]
    axes.xaxis.set_major_locator(FixedLocator(powers))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _look(axes: Any) -> None:
    axes.set_title("Training FLOPs a token, exact", loc="left", fontsize=11, color=INK)
    axes.set_xlabel("tokens of a row; a dot marks the model's own context", fontsize=9, color=FAINT)
    axes.tick_params(colors=FAINT, labelsize=8.5, length=0)
    axes.grid(color="#d0d7de", linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def round_numbers(low: float, high: float) -> list[float]:
    """At least four numbers of few digits in a range, where one has so many; as few digits as that takes."""
    found: list[float] = []
    for steps in ROUND:
        decades = range(floor(log10(low)), ceil(log10(high)) + 1)
        found = [
            step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high
        ]
        if len(found) >= 4:
            break
    return found


def _label(axes: Any, at: float, ends: list[tuple[float, str, str]]) -> None:
    """Write each model's name where its line ends, and names that would touch one above the other."""
    to_height = (axes.transData + axes.transAxes.inverted()).transform
    heights = [(to_height((at, cost))[1], label, colour) for cost, label, colour in ends]
    lowest = -1.0
    for height, label, colour in sorted(heights):
        lowest = max(height, lowest + GAP)
        axes.annotate(
            label,
            (1.0, lowest),
            xycoords="axes fraction",
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def flops_text(value: float) -> str:
    """`2.5 G`: a number of FLOPs with a prefix."""
    for prefix, scale in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale * 0.9995:
            return f"{value / scale:.3g} {prefix}"
    return f"{value:.3g}"
