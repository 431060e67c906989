"""Boxes and arrows in their places: nothing over anything else, arrows down, the main ones straight."""

import random
from itertools import combinations

import pytest

from nanogen.views.flow import Box, place


def random_flow(seed: int):
    draw = random.Random(seed)
    names = [f"n{i}" for i in range(draw.randint(2, 24))]
    boxes = [
        Box(n, draw.randint(30, 260), draw.choice([28, 44, 60, 140]), draw.randint(0, 90), early=i < 2)
        for i, n in enumerate(names)
    ]
    edges = [
        (names[draw.randrange(i)], n) for i, n in enumerate(names) if i > 1 for _ in range(draw.randint(0, 3))
    ]
    return boxes, edges


def inside(x: float, y: float, box: Box) -> bool:
    return box.x + 0.5 < x < box.x + box.width - 0.5 and box.y + 0.5 < y < box.y + box.height - 0.5


@pytest.mark.parametrize("seed", range(30))
def test_nothing_stands_on_anything(seed):
    boxes, edges = random_flow(seed)
    flow = place(boxes, edges, set())
    assert [b.name for b in flow.boxes] == [b.name for b in boxes]
    for a, b in combinations(flow.boxes, 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
        assert apart, (a, b)
    for box in flow.boxes:
        assert box.x >= -0.1
        assert box.centre + max(box.width / 2, box.label) <= flow.width + 0.1
        assert box.y + box.height <= flow.height + 0.1
    at = {b.name: b for b in flow.boxes}
    for arrow in flow.arrows:
        assert all(a[1] <= b[1] for a, b in zip(arrow.points, arrow.points[1:], strict=False)), "down"
        first, last = arrow.points[0], arrow.points[-1]
        assert first == pytest.approx(
            (at[arrow.source].centre, at[arrow.source].y + at[arrow.source].height), abs=0.2
        )
        assert at[arrow.target].x < last[0] < at[arrow.target].x + at[arrow.target].width
        assert last[1] == at[arrow.target].y
        # straight pieces are the only ones beside boxes: lanes must miss them
        for (x, top), (_, bottom) in zip(arrow.points[::2], arrow.points[1::2], strict=False):
            for step in range(1, 20):
                y = top + (bottom - top) * step / 20
                assert not any(inside(x, y, box) for box in flow.boxes), (arrow, x, y)


def test_the_same_flow_every_time():
    boxes, edges = random_flow(3)
    assert place(boxes, edges, set()) == place(boxes, edges, set())


def test_main_arrows_run_straight():
    boxes = [
        Box("x", 40, 28, early=True),
        Box("mix", 120, 44),
        Box("h", 70, 44),
        Box("mlp", 150, 44),
        Box("y", 70, 44),
    ]
    edges = [("x", "mix"), ("x", "h"), ("mix", "h"), ("h", "mlp"), ("h", "y"), ("mlp", "y")]
    main = {("x", "h"), ("h", "y")}
    for arrow in place(boxes, edges, main).arrows:
        spread = max(x for x, _ in arrow.points) - min(x for x, _ in arrow.points)
        assert (spread < 1) == ((arrow.source, arrow.target) in main), arrow


def test_what_begins_within_stands_above_its_reader():
    boxes = [Box("x", 40, 28, early=True), Box("a", 40, 28), Box("b", 40, 28), Box("keep", 40, 28)]
    at = {b.name: b.y for b in place(boxes, [("x", "a"), ("a", "b"), ("keep", "b")], set()).boxes}
    assert at["x"] < at["a"] == at["keep"] < at["b"]


def test_arrows_cross_only_where_they_must():
    boxes = [Box(n, 40, 28, early=n in "ab") for n in "abcd"]
    at = {b.name: b.x for b in place(boxes, [("a", "d"), ("b", "c")], set()).boxes}
    assert (at["a"] < at["b"]) == (at["d"] < at["c"])


def test_an_empty_flow():
    assert place([], [], set()).arrows == ()
