"""What is computed at once, from which moment on: kept over a restart, and changed once."""

from pathlib import Path

import pytest

from stages.training.at_once import (
    EVALUATING,
    EVALUATION,
    NAME,
    SAMPLING,
    STEP,
    STEPPING,
    AtOnce,
    Change,
)


@pytest.fixture
def sizes(tmp_path: Path) -> AtOnce:
    return AtOnce(tmp_path / "saves" / NAME, {STEP: 8, EVALUATION: 8})


def test_a_size_holds_from_its_moment_on(sizes):
    sizes.fall(STEP, (3, STEPPING), 4)
    assert [sizes.size(STEP, m) for m in ((0, EVALUATING), (3, EVALUATING), (3, STEPPING), (9, 0))] == [
        8,
        8,
        4,
        4,
    ]
    # the evaluation before that step had eight rows, and has them again if the run goes on from there
    assert [sizes.size(EVALUATION, m) for m in ((3, EVALUATING), (4, EVALUATING))] == [8, 4]


def test_an_evaluation_falls_alone_and_a_step_takes_it_along(sizes):
    sizes.fall(EVALUATION, (3, EVALUATING), 2)
    assert sizes.size(STEP, (5, 0)) == 8
    sizes.fall(STEP, (5, STEPPING), 4)
    assert (sizes.size(STEP, (6, 0)), sizes.size(EVALUATION, (6, 0))) == (4, 2)
    answers = AtOnce(sizes.path, {STEP: 8192, SAMPLING: 64})
    answers.fall(STEP, (0, STEPPING), 4096)
    assert answers.changes == [Change(STEP, (0, STEPPING), 4096, 8192)]


def test_it_is_read_as_it_was_written(sizes):
    sizes.fall(STEP, (3, STEPPING), 4)
    sizes.probed = {"device": "cuda"}
    sizes.write()
    assert AtOnce.read(sizes.path) == sizes


def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path):
    assert AtOnce.read(tmp_path / NAME) is None
    for text in ("{", "[]", "{}", '{"planned": {}, "changes": [{}], "probed": {}}'):
        (tmp_path / NAME).write_text(text)
        assert AtOnce.read(tmp_path / NAME) is None


def test_changes_come_once_and_those_before_a_save_do_not(sizes):
    sizes.fall(EVALUATION, (2, EVALUATING), 4)
    sizes.fall(STEP, (5, STEPPING), 2)
    sizes.begin((5, EVALUATING))
    assert sizes.due((5, EVALUATING)) == []
    assert [c.what for c in sizes.due((5, STEPPING))] == [STEP, EVALUATION]
    assert sizes.due((6, STEPPING)) == []
    sizes.begin((0, EVALUATING))
    assert [c.size for c in sizes.due((2, STEPPING))] == [4]


def test_a_fall_before_another_one_ends_what_was_to_come(sizes):
    """The run was cut off, and goes on from before it with less memory than it had."""
    sizes.fall(STEP, (7, STEPPING), 2)
    sizes.begin((4, EVALUATING))
    sizes.fall(STEP, (4, STEPPING), 4)
    assert sizes.size(STEP, (9, 0)) == 4
    assert [c.moment for c in sizes.changes] == [(4, STEPPING), (4, STEPPING)]
