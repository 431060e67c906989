"""The loss curve of a log as SVG. Knows nothing of reports or runs."""

from __future__ import annotations

import io
from typing import Any

INK, LINE, POINT = "#57606a", "#7d9ec0", "#c2571a"


def curves(events: list[dict[str, Any]]) -> str:
    """Draw training loss and validation bits per byte over tokens; an empty log draws nothing."""
    steps = [e for e in events if e.get("kind") == "step"]
    checks = [e for e in events if e.get("kind") == "validation"]
    if not steps:
        return ""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "nanogen"  # the same log draws the same bytes
    from matplotlib import pyplot

    most = max(e["tokens"] for e in [*steps, *checks])
    unit, scale = ("million", 1e6) if most >= 1e6 else ("thousand", 1e3)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
    _panel(left, "training loss, nats a token", unit)
    left.plot([e["tokens"] / scale for e in steps], [e["loss"] for e in steps], color=LINE, linewidth=1.6)
    _panel(right, "validation, bits a byte", unit)
    right.plot(
        [e["tokens"] / scale for e in checks],
        [e["bits_per_byte"] for e in checks],
        color=POINT,
        marker="o",
        ms=4,
    )
    for event in checks[-1:]:
        at = (event["tokens"] / scale, event["bits_per_byte"])
        text = f"{event['bits_per_byte']:.3f}"
        right.annotate(
            text, at, xytext=(0, 12), textcoords="offset points", ha="right", color=INK, fontsize=9
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
