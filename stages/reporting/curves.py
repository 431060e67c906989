"""Curves of a log, and points of several models, as SVG. Knows nothing of reports or runs."""

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
    most = max(e["tokens"] for e in [*steps, *checks])
    unit, scale = ("million", 1e6) if most >= 1e6 else ("thousand", 1e3)
    panels = 2 if checks else 1
    figure, axes = _figure(panels)
    _panel(axes[0, 0], stepped[1], f"{unit} tokens")
    axes[0, 0].plot(
        [e["tokens"] / scale for e in steps], [e[stepped[0]] for e in steps], color=LINE, linewidth=1.6
    )
    if checks:
        found = [(e["tokens"] / scale, e[checked[0]]) for e in checks]
        _checked(axes[0, 1], found, checked[1], f"{unit} tokens")
    return _svg(figure)


def scatter(points: list[tuple[float, float, str]], title: str, below: str) -> str:
    """Draw what models reached over what they took, on a scale of powers, each with its name."""
    figure, axes = _figure(1, width=9.2)
    panel, ordered = axes[0, 0], sorted(points)
    _panel(panel, title, below)
    panel.set_xscale("log")
    panel.plot([x for x, _, _ in ordered], [y for _, y, _ in ordered], color=POINT, marker="o", ms=4)
    for x, y, name in ordered:
        spot = {"xytext": (5, 5), "textcoords": "offset points", "color": INK, "fontsize": 9}
        panel.annotate(name, (x, y), **spot)
    return _svg(figure)


def _figure(panels: int, width: float = 4.6) -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "nanogen"  # the same log draws the same bytes
    from matplotlib import pyplot

    return pyplot.subplots(1, panels, figsize=(width * panels, 3.4), layout="constrained", squeeze=False)


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
        pyplot.close(figure)
        text = file.getvalue()
    return text[text.index("<svg") :]


def _checked(axes: Any, found: list[tuple[float, float]], title: str, below: str) -> None:
    """What evaluations found, the last one with its number."""
    _panel(axes, title, below)
    axes.plot([at for at, _ in found], [value for _, value in found], color=POINT, marker="o", ms=4)
    spot = {"xytext": (0, 12), "textcoords": "offset points", "ha": "right", "color": INK, "fontsize": 9}
    axes.annotate(f"{found[-1][1]:.3f}", found[-1], **spot)


def _panel(axes: Any, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(below, fontsize=9, color=INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(alpha=0.25)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
