"""Pieces of an SVG: well-formed whatever text they hold, and light and dark from one style."""

from xml.etree import ElementTree

import pytest

from nanogen.views.svg import arrow, box, clean, document, framed, width_of, words


@pytest.mark.parametrize("text", ["<script>&", '"quoted"', "a\x00b\x1b[1m", "数式", "]]>", "\ud800"])
def test_any_text_is_held(text):
    drawn = ElementTree.fromstring(document(10, 10, text, [words(1, 1, text, 12, "ink")]).encode("utf-8"))
    told = [element.text for element in drawn.iter() if element.tag.endswith("}text")]
    assert told[0] is not None
    assert len(told[0]) == len(text)
    assert not list(drawn.iter("script"))


def test_cleaning_keeps_what_is_plain():
    assert clean("x + 3 * y") == "x + 3 * y"


def test_light_and_dark():
    text = document(10, 10, "t", [])
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    assert ".ink { fill: #1b1f24 }" in light
    assert ".ink { fill: #e6edf3 }" in dark


def test_arrows_have_heads_and_straight_lanes():
    drawn = arrow([(0, 0), (0, 10), (30, 20), (30, 40), (10, 50)])
    assert drawn.count("C") == 2
    assert 'marker-end="url(#tip)"' in drawn
    assert 'class="arrow thick"' in arrow([(0, 0), (0, 9)], thick=True)


def test_shapes():
    assert 'fill="#56b4e9"' in box(0, 0, 1, 1, "#56b4e9")
    assert framed(0, 0, 10, 10, "panel").count("<rect") == 2


def test_kanji_are_twice_as_wide():
    assert width_of("数", 10) == 2 * width_of("x", 10)
