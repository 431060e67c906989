"""Pieces of an SVG as text: shapes, words, arrows, and the one style that light and dark pages share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

MONO, SANS = 0.61, 0.56  # widest advance of a character in common fonts, in ems
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Okabe and Ito's colours, which colour-blind people tell apart; letters and words say the same again
KINDS = ("#56b4e9", "#e69f00", "#cc79a7", "#f0e442", "#7fc7a9", "#b0b0b0")
_LIGHT = {
    "page": "#ffffff", "panel": "#f4f6f8", "rim": "#d5dbe1", "box": "#ffffff", "ink": "#1b1f24",
    "soft": "#57606a", "line": "#7d8790", "stream": "#424a53", "weights": "#0072b2", "past": "#d55e00",
    "calls": "#009e73", "plain": "#c4ccd4",
}  # fmt: skip
_DARK = {
    "page": "#0d1117", "panel": "#161b22", "rim": "#30363d", "box": "#21262d", "ink": "#e6edf3",
    "soft": "#9aa4ae", "line": "#7d8790", "stream": "#c9d1d9", "weights": "#58b0e8", "past": "#f0883e",
    "calls": "#2fc79a", "plain": "#484f58",
}  # fmt: skip
_FONTS = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif }
text.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.bold { font-weight: 600 }
.arrow { fill: none; stroke-width: 1.4 }
.thick { stroke-width: 3.4 }
.cell { fill: #1b1f24; text-anchor: middle }
.end { text-anchor: end }
.halo { paint-order: stroke; stroke-width: 5px; stroke-linejoin: round }
"""


def _colours(colours: dict[str, str]) -> str:
    fills = "".join(f".{name} {{ fill: {colour} }}\n" for name, colour in colours.items())
    return (
        f"{fills}.rim {{ stroke: {colours['rim']} }}\n"
        f".arrow {{ stroke: {colours['line']} }}\n.thick {{ stroke: {colours['stream']} }}\n"
        f".halo {{ stroke: {colours['panel']} }}\n"
    )


def document(width: float, height: float, title: str, body: Sequence[str]) -> str:
    """Return a whole SVG file."""
    style = f"{_FONTS}{_colours(_LIGHT)}@media (prefers-color-scheme: dark) {{\n{_colours(_DARK)}}}"
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{clean(title)}</title>",
        f"<style>{style}</style>",
        "<defs>",
        *(
            _head(name, colour, size)
            for name, colour, size in (("tip", "line", 7), ("thick-tip", "stream", 4))
        ),
        "</defs>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
    ]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def _head(name: str, colour: str, size: int) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto"><path class="{colour}" d="M0 1 L10 5 L0 9 z"/></marker>'
    )


def clean(text: str) -> str:
    """Text as XML holds it: escaped, without characters that XML has no place for."""
    return escape(_FORBIDDEN.sub("?", text), {'"': "&quot;"})


def words(x: float, y: float, text: str, size: float, *classes: str) -> str:
    """Text on one line; `y` is its baseline."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" class="{" ".join(classes)}">{clean(text)}</text>'
    )


def box(x: float, y: float, width: float, height: float, kind: str, *, radius: float = 6) -> str:
    """A rectangle of the style's class `kind`, or of a colour of its own."""
    paint = f'fill="{kind}"' if kind.startswith("#") else f'class="{kind}"'
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} rx="{radius:g}" {paint}/>'


def framed(x: float, y: float, width: float, height: float, kind: str, *, radius: float = 6) -> str:
    """A rectangle with a thin rim."""
    rim = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" class="rim"/>'
    return rim + box(x + 1, y + 1, width - 2, height - 2, kind, radius=radius - 1)


def arrow(points: Sequence[tuple[float, float]], *, thick: bool = False, head: bool = True) -> str:
    """A line down through points: curved between ranks, straight within one."""
    (x, y), *rest = points
    path = [f"M{x:.1f} {y:.1f}"]
    for place, (to_x, to_y) in enumerate(rest):
        if place % 2 == 0 or abs(to_x - x) < 0.5:
            path.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    tip = f' marker-end="url(#{"thick-tip" if thick else "tip"})"' if head else ""
    return f'<path class="arrow{" thick" if thick else ""}" d="{"".join(path)}"{tip}/>'


def width_of(text: str, size: float, *, mono: bool = True) -> float:
    """Room that a line of text takes at most; East Asian characters take two."""
    cells = sum(2 if ord(char) > 0x2E7F else 1 for char in text)
    return cells * size * (MONO if mono else SANS)
