"""Rectangles side by side on a page: in their order, high up and to the left, on a page that is no tower."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 28.0
WIDTHS = tuple(range(800, 1880, 40))  # of pages to choose from
SHAPE = 1.3  # width over height of the screen that a page is read on

Size = tuple[float, float]
Point = tuple[float, float]


def pack(sizes: Sequence[Size]) -> list[Point]:
    """Return the upper left corner of each rectangle, on the page that a screen shows largest."""
    widest = max(width for width, _ in sizes)
    pages = sorted({max(page, widest) for page in WIDTHS})
    tried = [rule(sizes, page) for page in pages for rule in (_in_rows, _where_free)]

    def room(places: list[Point]) -> float:
        width, height = extent(sizes, places)
        return max(width / SHAPE, height)

    return min(tried, key=room)


def extent(sizes: Sequence[Size], places: Sequence[Point]) -> Size:
    """Return how much room the rectangles take in their places."""
    pairs = list(zip(sizes, places, strict=True))
    return max(x + width for (width, _), (x, _) in pairs), max(y + height for (_, height), (_, y) in pairs)


def _in_rows(sizes: Sequence[Size], page: float) -> list[Point]:
    places: list[Point] = []
    x = y = tallest = 0.0
    for width, height in sizes:
        if x and x + width > page + 0.1:
            x, y, tallest = 0.0, y + tallest + GAP, 0.0
        places.append((x, y))
        x, tallest = x + width + GAP, max(tallest, height)
    return places


def _where_free(sizes: Sequence[Size], page: float) -> list[Point]:
    """Each as high up as there is room, then as far left."""
    placed: list[tuple[float, float, float, float]] = []  # left, top, right, bottom; the gap included

    def free(x: float, y: float, width: float, height: float) -> bool:
        right, bottom = x + width + GAP, y + height + GAP
        return x + width <= page + 0.1 and all(
            right <= left or end <= x or bottom <= top or low <= y for left, top, end, low in placed
        )

    for width, height in sizes:
        lefts = sorted({0.0, *(end for _, _, end, _ in placed)})
        tops = sorted({0.0, *(low for _, _, _, low in placed)})
        x, y = next((x, y) for y in tops for x in lefts if free(x, y, width, height))
        placed.append((x, y, x + width + GAP, y + height + GAP))
    return [(x, y) for x, y, _, _ in placed]
