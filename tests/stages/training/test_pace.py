"""Steps and batches: what the settings say, settled or refused."""

import pytest

from runtime.faults import Fault
from stages.training.pace import check_cut, row_length, rows_of_batch, sizes


def test_micro_batches_divide_the_batch():
    assert rows_of_batch(64 * 12, 64) == 12
    assert sizes(12) == [1, 2, 3, 4, 6, 12]
    assert sizes(12, 8) == [1, 2, 3, 4, 6]
    assert sizes(1) == [1]


@pytest.mark.parametrize("rows", [7, 8, 36, 97, 256])
def test_sizes_are_all_that_divide(rows: int):
    assert sizes(rows) == [n for n in range(1, rows + 1) if rows % n == 0]


@pytest.mark.parametrize(
    ("batch", "rows", "message"),
    [(1000, None, "is not whole rows"), (2048 * 4, 3, "does not split into such micro-batches")],
)
def test_what_does_not_divide_is_refused(batch, rows, message):
    with pytest.raises(Fault, match=message):
        check_cut(batch, 2048, rows)
    check_cut(2048 * 4, 2048, 2)


def test_a_row_is_no_longer_than_the_context():
    assert row_length(None, 2048) == 2048
    assert row_length(64, 2048) == 64
    with pytest.raises(Fault, match="the model's context is"):
        row_length(4096, 2048)
