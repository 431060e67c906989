"""Boxes and arrows placed as a flow from top to bottom: in ranks, few crossings, nothing over anything else.

The classic four steps (Sugiyama, Tagawa, Toda 1981): ranks by the longest path, an order in each rank by
the middle of the neighbours, places by least squares under that order, curves through the gaps. An arrow
past a rank goes through a lane there, which all arrows of one source share.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence, Set
from itertools import pairwise

from attrs import define, evolve, field, frozen

LANE = 14.0  # width of a lane
BESIDE = 26.0  # between boxes of one rank
BETWEEN = 58.0  # between ranks
STUB = 20.0  # straight down from a box, before its arrows part
STRAIGHT = 1000.0  # how much more a main arrow pulls its ends in line
SWEEPS = 24


@frozen
class Box:
    """A box to be placed. `early`: in the first rank, as inputs are.

    `label` is the room that a word takes below it, to the right of its middle.
    """

    name: str
    width: float
    height: float
    label: float = 0.0
    early: bool = False
    x: float = 0.0  # of its left edge
    y: float = 0.0  # of its upper edge

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def room(self) -> float:
        """Width with its label, the same on both sides of its middle."""
        return max(self.width, 2 * self.label)


@frozen
class Arrow:
    """An arrow as points that a curve goes through, in pairs: down a gap, down a lane, down a gap..."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@frozen
class Flow:
    """Boxes and arrows in their places, in a field of this size."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


@define(eq=False)
class _Spot:
    """A box or a lane in its rank."""

    width: float
    box: Box | None = None
    above: dict[_Spot, float] = field(factory=dict)  # neighbours, and how much each pulls
    below: dict[_Spot, float] = field(factory=dict)
    centre: float = 0.0


def place(boxes: Sequence[Box], edges: Sequence[tuple[str, str]], main: Set[tuple[str, str]]) -> Flow:
    """Place boxes, given the pairs of names that arrows join; those of `main` run straight where they can.

    Arrows lead down: there are no circles.
    """
    edges = list(dict.fromkeys(edges))
    ranks = _ranks(boxes, edges)
    spots, routes = _spots(boxes, edges, ranks, main)
    rows: list[list[_Spot]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for (_, rank), spot in spots.items():
        rows[rank].append(spot)
    _order(rows)
    _settle(rows)
    return _drawn(boxes, rows, routes, main)


def _ranks(boxes: Sequence[Box], edges: list[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each box; what begins the flow without being an input stands just above its reader."""
    into: dict[str, list[str]] = {box.name: [] for box in boxes}
    out: dict[str, list[str]] = {box.name: [] for box in boxes}
    for source, target in edges:
        into[target].append(source)
        out[source].append(target)
    early = {box.name for box in boxes if box.early}
    lowest = 1 if early else 0
    ranks: dict[str, int] = {}
    waiting = {name: len(sources) for name, sources in into.items()}
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:  # grows while it is walked
        after = max((ranks[source] + 1 for source in into[name]), default=0)
        ranks[name] = 0 if name in early else max(after, lowest)
        for target in out[name]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for name in reversed(ready):
        if not into[name] and name not in early and out[name]:
            ranks[name] = min(ranks[target] for target in out[name]) - 1
    return ranks


Routes = dict[tuple[str, str], list[_Spot]]


def _spots(boxes, edges, ranks, main) -> tuple[dict[tuple[str, int], _Spot], Routes]:
    """A spot for each box and for each lane, joined rank by rank; and the spots that each arrow goes through."""
    spots = {(box.name, ranks[box.name]): _Spot(box.room, box) for box in boxes}
    routes: Routes = {}
    for source, target in sorted(edges, key=lambda edge: ranks[edge[1]]):
        route = [spots[source, ranks[source]]]
        for rank in range(ranks[source] + 1, ranks[target]):
            route.append(spots.setdefault((source, rank), _Spot(LANE)))
        route.append(spots[target, ranks[target]])
        for upper, lower in pairwise(route):
            # lanes are straight before boxes are in the middle
            pull = (1.0 if upper.box else 2.0) * (1.0 if lower.box else 2.0)
            pull = STRAIGHT if (source, target) in main else pull
            upper.below[lower] = lower.above[upper] = max(pull, upper.below.get(lower, 0.0))
        routes[source, target] = route
    return spots, routes


def _order(rows: list[list[_Spot]]) -> None:
    """Order each rank by the middle of its neighbours, down and up in turn; the best order seen is kept."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for fixed, moved in _pairs(rows, down):
            places = {spot: place for place, spot in enumerate(fixed)}
            middle = {}
            for place, spot in enumerate(moved):
                near = [places[s] for s in (spot.above if down else spot.below)]
                middle[spot] = sum(near) / len(near) if near else float(place)
            moved.sort(key=middle.__getitem__)
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept


def _pairs(rows: list[list[_Spot]], down: bool) -> list[tuple[list[_Spot], list[_Spot]]]:
    """A fixed rank and the one to be moved, from one end to the other."""
    ranks = rows if down else rows[::-1]
    return list(pairwise(ranks))


def _crossings(rows: list[list[_Spot]]) -> int:
    """How many pairs of joins between neighbouring ranks cross."""
    count = 0
    for upper, lower in pairwise(rows):
        places = {spot: place for place, spot in enumerate(lower)}
        seen: list[int] = []
        for spot in upper:
            ends = sorted(places[s] for s in spot.below)
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _settle(rows: list[list[_Spot]]) -> None:
    """Move each spot towards the middle of its neighbours, as far as its rank leaves room."""
    for row in rows:
        at = 0.0
        for spot in row:
            spot.centre = at + spot.width / 2
            at += spot.width + BESIDE
    for sweep in range(4 * SWEEPS):
        down = sweep % 2 == 0
        for _, row in _pairs(rows, down):
            wanted = []
            for spot in row:
                near = spot.above if down else spot.below
                weight = sum(near.values())
                middle = sum(s.centre * pull for s, pull in near.items())
                wanted.append((middle / weight, weight) if near else (spot.centre, 0.1))
            _fit(row, wanted)


def _fit(row: list[_Spot], wanted: list[tuple[float, float]]) -> None:
    """Centres nearest to those wanted, by weighted squares, in this order and without overlap.

    With the room that earlier boxes take subtracted, the order alone is left to keep: pool those that break it.
    """
    offsets, at = [], 0.0
    for place, spot in enumerate(row):
        at += (row[place - 1].width + spot.width) / 2 + BESIDE if place else 0.0
        offsets.append(at)
    pools: list[tuple[float, float, int]] = []  # middle, weight, how many
    for (middle, weight), offset in zip(wanted, offsets, strict=True):
        pools.append((middle - offset, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    middles = [middle for middle, _, count in pools for _ in range(count)]
    for spot, middle, offset in zip(row, middles, offsets, strict=True):
        spot.centre = middle + offset


def _drawn(boxes: Sequence[Box], rows: list[list[_Spot]], routes: Routes, main) -> Flow:
    left = min((s.centre - (s.box or s).width / 2 for row in rows for s in row), default=0.0)
    right = max((s.centre + s.width / 2 for row in rows for s in row), default=0.0)
    placed: dict[str, Box] = {}
    bands: dict[_Spot, tuple[float, float]] = {}  # upper and lower edge of a spot's rank
    y = 0.0
    for row in rows:
        height = max((s.box.height for s in row if s.box), default=0.0)
        for spot in row:
            spot.centre -= left
            bands[spot] = (y, y + height)
            if spot.box:
                x = round(spot.centre - spot.box.width / 2, 1)
                placed[spot.box.name] = evolve(spot.box, x=x, y=round(y, 1))
        y += height + BETWEEN
    arrows = _arrows(placed, routes, bands, main)
    return Flow(tuple(placed[b.name] for b in boxes), arrows, right - left, max(0.0, y - BETWEEN))


def _arrows(placed: dict[str, Box], routes: Routes, bands: dict, main) -> tuple[Arrow, ...]:
    """Arrows leave a box at its middle; those that enter one stand side by side, in the order they come from."""
    entering: dict[str, list[tuple[float, str]]] = {}
    for (source, target), route in routes.items():
        entering.setdefault(target, []).append((route[-2].centre, source))
    arrows = []
    for (source, target), route in routes.items():
        start, end = placed[source], placed[target]
        points = [(start.centre, start.y + start.height), (start.centre, bands[route[0]][1] + STUB)]
        for lane in route[1:-1]:
            top, bottom = bands[lane]
            points += [(lane.centre, top), (lane.centre, bottom + STUB)]
        beside = [name for _, name in sorted(entering[target])]
        at = end.centre + _entry(
            beside, source, {name for name in beside if (name, target) in main}, end.width
        )
        points.append((at, end.y))
        arrows.append(Arrow(source, target, tuple((round(x, 1), round(y, 1)) for x, y in points)))
    return tuple(arrows)


def _entry(beside: list[str], source: str, main: set[str], width: float) -> float:
    """How far from a box's middle an arrow enters it; a main arrow enters at the middle."""
    straight = next((place for place, name in enumerate(beside) if name in main), None)
    middle = (len(beside) - 1) / 2 if straight is None else straight
    furthest = max(middle, len(beside) - 1 - middle)
    step = min(60.0, 0.4 * width / furthest) if furthest else 0.0
    return (beside.index(source) - middle) * step
