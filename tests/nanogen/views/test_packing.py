"""Rectangles on a page: apart from each other, in no tower."""

from itertools import combinations

from nanogen.views.packing import GAP, extent, pack

SIZES = [(640, 690), (387, 570), (420, 570), (660, 600), (290, 370), (715, 610)]


def test_rectangles_keep_apart():
    for (a, (x, y)), (b, (u, v)) in combinations(zip(SIZES, pack(SIZES), strict=True), 2):
        apart = x + a[0] + GAP <= u or u + b[0] + GAP <= x or y + a[1] + GAP <= v or v + b[1] + GAP <= y
        assert apart, (a, b)


def test_a_page_is_no_tower():
    width, height = extent(SIZES, pack(SIZES))
    assert height < width < 2 * height
    many = [(300, 300)] * 16
    width, height = extent(many, pack(many))
    assert height <= width


def test_one_that_is_wider_than_any_page_stands_alone():
    places = pack([(5000, 100), (50, 50)])
    assert places[0] == (0, 0)
