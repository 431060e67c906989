"""The closest whole number: against every number there is, for counts that rise, fall, have gaps, or wander."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanogen.planning.search import HIGHEST, TRIES, closest, largest


def exhaustive(count, wanted: float, start: int, highest: int = 3000) -> float:
    counts = {v: c for v in range(1, highest) if (c := count(v)) is not None}
    return min(abs(c - wanted) for c in counts.values())


@settings(max_examples=60)
@given(st.integers(1, 10**9), st.integers(1, 300), st.integers(1, 97), st.sampled_from([1, -1]))
def test_counts_that_rise_or_fall_with_gaps(wanted: int, start: int, spacing: int, sign: int):
    def count(v: int) -> float | None:
        return sign * (7 * v * v + 11 * v) if v % spacing == 0 and v < 2500 else None

    found = closest(count, sign * wanted, spacing * start if spacing * start < 2500 else spacing)
    assert abs(found.count - sign * wanted) == exhaustive(count, sign * wanted, start)
    assert found.count == count(found.value)
    assert found.scanned is None


def test_few_numbers_are_tried_where_the_count_rises():
    found = closest(lambda v: v * v, 1234**2, 10)
    assert (found.value, found.count) == (1234, 1234**2)
    assert found.tried < 120


@pytest.mark.parametrize("wanted", [0, 5, 1100, 1995])
def test_a_count_that_wanders_is_scanned(wanted: int):
    def count(v: int) -> float:
        return v * 10 if v % 7 else 2000 - v

    found = closest(count, wanted, 60)
    assert found.scanned is not None
    low, high = found.scanned
    assert abs(found.count - wanted) == min(abs(count(v) - wanted) for v in range(low, high + 1))


def test_divisors_alone_have_a_count():
    def count(v: int) -> float | None:
        return 5 * v if 1280 % v == 0 else None

    assert closest(count, 300, 10).value == 64


def test_a_count_that_never_changes_is_flat():
    found = closest(lambda v: 3, 8, 12)
    assert (found.value, found.flat) == (12, True)


def test_equals_are_settled_by_the_start():
    assert closest(lambda v: v // 100, 7, 760).value == 760


def test_what_cannot_be_reached_ends_at_the_last_number():
    assert closest(lambda v: v if v <= 2000 else None, 10**6, 20).value == 2000
    assert closest(lambda v: v, 10**9, 20).value == HIGHEST
    assert closest(lambda v: v, 0, 20).value == 1


def test_the_tries_are_bounded():
    tried = []

    def count(v: int) -> float | None:
        tried.append(v)
        return v if v % 5000 == 0 else None

    closest(count, 10**9, 5000)
    assert len(tried) <= TRIES


@pytest.mark.parametrize("edge", [1, 2, 7, 99, 100])
def test_the_largest_that_fits_is_found(edge: int):
    assert largest(lambda v: v <= edge, 100) == edge


def test_where_nothing_fits_nothing_is_found():
    assert largest(lambda v: False, 100) is None
    assert largest(lambda v: None, 100) is None
    assert largest(lambda v: True, 0) is None


def test_numbers_without_an_answer_are_passed_over():
    assert largest(lambda v: v <= 70 if v % 6 == 0 else None, 100) == 66
    assert largest(lambda v: v <= 70 if v in (1, 90) else None, 100) == 1
