"""Figures with their bounds, and when a change is more than noise."""

import pytest

from stages.benching.samples import Figure, alternately


def figure(*values: float, more: bool = True) -> Figure:
    return Figure.of(values, "tokens/s", more_is_better=more)


def test_a_figure_is_its_median_and_its_bounds():
    found = figure(10, 30, 20)
    assert (found.median, found.low, found.high, found.samples) == (20, 10, 30, 3)
    assert found.spread == 1.0
    assert Figure.read(found.kept()) == found


@pytest.mark.parametrize(
    ("now", "before", "beyond"),
    [
        ((10, 11), (8, 9), True),
        ((6, 7), (8, 9), True),
        ((10, 11), (9, 10.5), False),
        ((10, 11), (10, 11), False),
        ((10,), (1, 2), None),
        ((10, 11), (1,), None),
    ],
)
def test_a_change_is_beyond_noise_where_samples_lie_apart(now, before, beyond):
    assert figure(*now).beyond_noise(figure(*before)) is beyond


def test_a_change_is_a_share():
    assert figure(12, 12).changed(figure(10, 10)) == pytest.approx(0.2)
    assert figure(12).changed(figure(0)) == 0


def test_runs_are_taken_in_turn_and_the_first_of_each_is_not_counted():
    taken = []

    def run(name: str, rates: list[float]):
        def once() -> float:
            taken.append(name)
            return rates.pop(0)

        return once

    best = alternately(run("a", [99, 1, 2]), run("b", [99, 4, 3]), times=2)
    assert best == [2, 4]
    assert taken == ["a", "b", "a", "b", "a", "b"]
