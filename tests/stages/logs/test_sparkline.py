"""Small bars: as high as their numbers, as many as fit."""

from stages.logs.sparkline import shrunk, sparkline


def test_bars_are_as_high_as_their_numbers():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([7, 0], 8) == "█▁"


def test_many_numbers_become_means():
    assert shrunk([1, 3, 5, 7], 2) == [2, 6]
    assert shrunk([1, 2, 3], 10) == [1, 2, 3]
    assert len(sparkline(list(range(1000)), 40)) == 40


def test_a_few_far_numbers_do_not_flatten_the_others():
    bars = sparkline([1000.0, *range(40)], 41)
    assert len(set(bars[1:])) == 8


def test_what_is_no_number_is_left_out():
    nan, inf = float("nan"), float("inf")
    assert sparkline([nan, 1.0, inf, 2.0], 9) == "▁█"
    assert sparkline([nan], 9) == sparkline([], 9) == ""
    assert sparkline([3.0, 3.0], 9) == "▁▁"
