"""The course of a figure: its points, what they cost, and its value between them."""

from math import isclose

import pytest
from attrs import evolve

from stages.comparing.curve import Curve, curve, figures, lower_is_better, smoothed

EVENTS = [
    {"kind": "begin", "steps": 3},
    {"kind": "validation", "step": 0, "tokens": 0, "seconds": 0.0, "loss": 4.0},
    {"kind": "step", "step": 0, "tokens": 10, "flops": 100, "seconds": 1.0, "loss": 3.0, "rate": 1.0},
    {
        "kind": "step",
        "step": 1,
        "tokens": 20,
        "flops": 200,
        "seconds": 2.0,
        "loss": float("nan"),
        "rate": 1.0,
    },
    {"kind": "step", "step": 2, "tokens": 30, "flops": 300, "seconds": 4.0, "loss": 1.0, "rate": 0.5},
    {"kind": "validation", "step": 3, "tokens": 30, "seconds": 4.0, "loss": 2.0},
]


def test_figures_of_a_log_are_those_of_evaluations_and_of_steps():
    assert figures(EVENTS) == ["validation.loss", "loss", "rate"]
    assert figures([]) == []


def test_a_course_has_what_was_spent_at_each_of_its_points():
    found = curve("one", EVENTS, "loss")
    assert found is not None
    assert (found.values, found.checked) == ((3.0, 1.0), False)  # what is no number is left out
    assert found.spent == {"step": (0, 2), "tokens": (10, 30), "flops": (100, 300), "time": (1.0, 4.0)}
    assert curve("one", EVENTS, "reward") is None


def test_an_evaluation_costs_what_the_steps_before_it_did():
    found = curve("one", EVENTS, "validation.loss")
    assert found is not None
    assert (found.values, found.checked) == ((4.0, 2.0), True)
    assert found.spent["flops"] == (0.0, 300)


def test_an_axis_that_the_log_does_not_know_is_empty():
    found = curve("one", [{k: v for k, v in e.items() if k != "seconds"} for e in EVENTS], "loss")
    assert found is not None
    assert found.spent["time"] == ()
    assert found.most("time") is None
    assert found.at("time", 1.0) is None


def test_between_two_points_lies_what_is_between_them():
    found = curve("one", EVENTS, "loss")
    assert found is not None
    assert [found.at("tokens", n) for n in (5, 10, 15, 20, 30, 31)] == [None, 3.0, 2.5, 2.0, 1.0, None]


def test_smoothing_weighs_what_is_near_and_is_not_pulled_by_the_first():
    assert smoothed((2.0, 2.0, 2.0), (0, 10, 20), 10) == (2.0, 2.0, 2.0)
    found = smoothed((0.0, 1.0), (0, 10), 10)
    assert isclose(found[1], 1 / (1 + 2.718281828**-1))
    assert smoothed((1.0, 5.0), (0, 1), 0) == (1.0, 5.0)


def test_what_evaluations_found_is_not_smoothed():
    steps = (0.0, 1.0)
    plain = Curve("x", "loss", False, (4.0, 2.0), {"step": steps, "tokens": (), "flops": (), "time": ()}, 1.0)
    assert plain.last > 2.0
    assert plain.best == plain.last
    assert evolve(plain, checked=True).last == 2.0


@pytest.mark.parametrize(
    ("figure", "lower"),
    [
        ("loss", True),
        ("validation.loss", True),
        ("bits_per_byte", True),
        ("reward", False),
        ("pass_1", False),
    ],
)
def test_which_way_is_better(figure, lower):
    assert lower_is_better(figure) is lower
