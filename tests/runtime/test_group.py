"""Rows are cut into runs as cheaply as can be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from random import Random

import pytest

from runtime.group import Row, cheapest_runs
from runtime.questions import Option, Question


def cost(sizes: list[int], runs: list[tuple[int, int]], least: int) -> int:
    return sum(least + (last - first) * max(sizes[first:last]) for first, last in runs)


def all_runs(sizes: list[int], most: int) -> Iterator[list[tuple[int, int]]]:
    """Every way to cut, but for rows of no size between cuts."""
    places = range(1, len(sizes))
    for cuts in (cut for count in range(len(sizes)) for cut in combinations(places, count)):
        runs = list(zip((0, *cuts), (*cuts, len(sizes)), strict=True))
        fits = all(b - a == 1 or (b - a) * max(sizes[a:b]) <= most for a, b in runs)
        if fits:
            yield [run for run in runs if any(sizes[slice(*run)])]


@pytest.mark.parametrize("least", [0, 3, 30])
def test_no_other_runs_cost_less(least):
    draw = Random(0)
    for _ in range(20):
        sizes = [draw.choice([0, 1, 5, draw.randrange(40)]) for _ in range(8)]
        runs = cheapest_runs(sizes, most=60, least=least)
        assert cost(sizes, runs, least) == min(cost(sizes, other, least) for other in all_runs(sizes, 60))
        assert all(b - a == 1 or (b - a) * max(sizes[a:b]) <= 60 for a, b in runs)
        read = {row for run in runs for row in range(*run)}
        assert read >= {row for row, size in enumerate(sizes) if size}


def test_what_is_too_large_is_a_run_of_its_own():
    assert cheapest_runs([100, 90, 1], most=60, least=5) == [(0, 1), (1, 2), (2, 3)]
    assert cheapest_runs([0, 0], most=60, least=5) == []


def test_options_that_are_read_alike_are_one_way_and_long_ways_come_first():
    options = [Option((0, 5, 6, 1), 3), Option((0, 5, 6, 2), 3), Option((0, 5, 7, 8, 1), 3)]
    row = Row.of(0, Question(tuple(options)), depth=2)
    assert [(way.ids, way.options) for way in row.ways] == [((7, 8), (2,)), ((6,), (0, 1))]
    assert row.rest == 2
    assert row.turn(2).ids == ()
