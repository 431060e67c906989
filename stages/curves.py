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
    panels = 2 if checks else 1
    figure, axes = pyplot.subplots(
        1, panels, figsize=(4.6 * panels, 3.4), layout="constrained", squeeze=False
    )
    _panel(axes[0, 0], stepped[1], unit)
    axes[0, 0].plot(
        [e["tokens"] / scale for e in steps], [e[stepped[0]] for e in steps], color=LINE, linewidth=1.6
    )
    if checks:
        _checked(axes[0, 1], [(e["tokens"] / scale, e[checked[0]]) for e in checks], checked[1], unit)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
        pyplot.close(figure)
        text = file.getvalue()
    return text[text.index("<svg") :]


def _checked(axes: Any, found: list[tuple[float, float]], title: str, unit: str) -> None:
    """What evaluations found, the last one with its number."""
    _panel(axes, title, unit)
    axes.plot([at for at, _ in found], [value for _, value in found], color=POINT, marker="o", ms=4)
    spot = {"xytext": (0, 12), "textcoords": "offset points", "ha": "right", "color": INK, "fontsize": 9}
    axes.annotate(f"{found[-1][1]:.3f}", found[-1], **spot)


def _panel(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(f"{unit} tokens", fontsize=9, color=INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(alpha=0.25)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
