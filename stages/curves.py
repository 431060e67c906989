"""The loss curve of a log as SVG. Knows nothing of reports or runs."""

from __future__ import annotations

import io
from typing import Any

INK, LINE, POINT = "#57606a", "#7d9ec0", "#c2571a"


def curves(events: list[dict[str, Any]], stepped: tuple[str, str], checked: tuple[str, str]) -> str:
    """Draw what steps and what evaluations found over tokens, each a key and its title; an empty log draws nothing."""
    steps = [e for e in events if e.get("kind") == "step" and stepped[0] in e]
    checks = [e for e in events if e.get("kind") == "validation" and checked[0] in e]
    if not steps:
        return ""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "nanogen"  # the same log draws the same bytes
    from matplotlib import pyplot

    most = max(e["tokens"] for e in [*steps, *checks])
    unit, scale = ("million", 1e6) if most >= 1e6 else ("thousand", 1e3)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
    _panel(left, stepped[1], unit)
    left.plot([e["tokens"] / scale for e in steps], [e[stepped[0]] for e in steps], color=LINE, linewidth=1.6)
    _panel(right, checked[1], unit)
    found = [(e["tokens"] / scale, e[checked[0]]) for e in checks]
    right.plot([at for at, _ in found], [value for _, value in found], color=POINT, marker="o", ms=4)
    for at, value in found[-1:]:
        right.annotate(
            f"{value:.3f}",
            (at, value),
            xytext=(0, 12),
            textcoords="offset points",
            ha="right",
            color=INK,
            fontsize=9,
        )
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
        pyplot.close(figure)
        text = file.getvalue()
    return text[text.index("<svg") :]


def _panel(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(f"{unit} tokens", fontsize=9, color=INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(alpha=0.25)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
