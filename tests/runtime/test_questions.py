"""Options with their scored ids: what they share, and what is cut from those that are too long."""

import pytest

from runtime.questions import Option, Question, Score


def question(*options: tuple[list[int], int]) -> Question:
    return Question(tuple(Option(tuple(ids), start) for ids, start in options))


@pytest.mark.parametrize(
    ("asked", "shared"),
    [
        (
            question(([9, 1, 2, 3, 4], 3), ([9, 1, 2, 5], 3)),
            2,
        ),  # the id before the first scored one is read anew
        (question(([9, 1, 2, 3], 3), ([9, 7, 2, 3], 3)), 1),
        (question(([9, 1, 2, 3], 3)), 2),
        (question(([9, 1], 1), ([9, 2], 1)), 0),
    ],
)
def test_what_options_share_ends_before_what_is_scored(asked, shared):
    assert asked.shared == shared


def test_all_options_lose_the_same_after_the_first_id():
    asked = question(([9, *range(10)], 9), ([9, *range(8), 20, 21, 22], 9))
    cut = asked.within(8)
    assert [o.ids for o in cut.options] == [(9, *range(3, 10)), (9, *range(3, 8), 20, 21, 22)]
    assert [o.start for o in cut.options] == [6, 6]
    assert cut.longest - 1 == 8


def test_what_fits_is_left_alone():
    asked = question((list(range(9)), 5))
    assert asked.within(8) is asked
    assert asked.within(7) is not asked


def test_an_answer_longer_than_the_context_is_cut_alone():
    long, short = [9, 1, *range(20, 40)], [9, 1, 2]
    cut = question((long, 2), (short, 2)).within(10)
    assert [o.ids for o in cut.options] == [(9, *range(30, 40)), (9, 2)]
    assert [o.start for o in cut.options] == [1, 1]


def test_the_mean_is_by_token():
    assert Score(6.0, 4, False).mean == 1.5
