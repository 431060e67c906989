"""What to write where a step does not fit: fewer rows alone where they are enough, else shorter rows or a smaller model."""

import pytest
from attrs import evolve

from runtime.capacity import Capacity
from stages.planning.proposals import SHARED, Change, changes, joined
from stages.runfile.load import Stage
from stages.training.fitting import NEAR

LARGER = ("batch_tokens = 64, rows = 2", "batch_tokens = 65536, rows = 64")
LONG = ("context = 16", "context = 256")
DEEP = ("depth = 2", "depth = 8")
MACHINE = Capacity("cuda", 10**9, bfloat16=False, compiler=True)


def needed(stage: Stage, **settings) -> Capacity:
    """A machine whose memory just holds a step of these settings."""
    step = stage.kind.micro_batch(evolve(stage.settings, **settings), stage.compiled, MACHINE)  # pyright: ignore[reportAttributeAccessIssue]
    return evolve(MACHINE, memory=int(step.ledger(stage.compiled, 4).total / NEAR) + 1)


@pytest.fixture
def base(write_run) -> Stage:
    return write_run(LARGER, LONG, DEEP).stage("base")


def test_fewer_rows_are_proposed_alone(base: Stage):
    [change] = changes(base, needed(base, rows=16))
    assert (change.setting, change.value, change.table) == ("rows", 16, ("stage", "base", "with"))
    assert "no result hangs on it" in change.note


def test_where_not_one_row_fits_a_shorter_one_or_a_smaller_model_does(base: Stage):
    found = {change.setting: change for change in changes(base, needed(base, rows=1, length=128))}
    assert found.keys() == {"length", "depth"}
    assert (found["length"].value, found["length"].table) == (128, ("stage", "base", "with"))
    assert 1 <= found["depth"].value < 8
    assert found["depth"].table == SHARED
    own = changes(base, needed(base, rows=1, length=128), own=True)
    assert own[1].table == ("stage", "base", "set")


def test_where_nothing_fits_nothing_is_proposed(base: Stage):
    assert changes(base, evolve(MACHINE, memory=1000)) == []


def test_a_change_says_what_to_write():
    change = Change("rows", 8, ("stage", "base", "with"), "no result hangs on it")
    assert str(change) == "write `rows = 8` in `with` of `[stage.base]`: no result hangs on it"
    assert str(evolve(change, table=SHARED)) == "write `rows = 8` in `[set]`: no result hangs on it"


def test_a_model_that_is_shared_is_proposed_once_at_the_smaller_size(base: Stage):
    depth = Change("depth", 7, SHARED, "alone")
    own, other = [Change("length", 64, ("stage", "base", "with"), "shorter"), depth], [evolve(depth, value=5)]
    found = joined([(base, own), (evolve(base, name="mid"), other)], needed(base))
    assert found is not None
    assert (found.value, found.table) == (5, SHARED)
    assert "`base`, `mid` fit; then no `length` is needed" in found.note
    assert [change.setting for change in own] == ["length"]
    assert other == []
    assert joined([(base, own)], needed(base)) is None
