"""Best-fit packing: the rule, its ties, and going on from a saved state."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime.packing import BestFit, fit_whole

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "text.public.json"


def packing_of(row_tokens: int, *documents: list[int]) -> BestFit:
    packing = BestFit(row_tokens)
    for document in documents:
        packing.add(document)
    return packing


def test_the_largest_that_fits_goes_first():
    packing = packing_of(5, [1], [2, 2], [3, 3, 3], [4] * 9)
    assert packing.next_row().tolist() == [3, 3, 3, 2, 2]


def test_when_none_fits_the_shortest_is_cut_and_its_rest_is_dropped():
    packing = packing_of(5, [1, 1, 1, 1], [2] * 9, [3, 4, 5])
    assert packing.next_row().tolist() == [1, 1, 1, 1, 3]
    assert packing.next_row().tolist() == [2] * 5
    assert len(packing) == 0


def test_of_equals_the_first_to_come_goes_first():
    packing = packing_of(4, [1, 1], [2, 2], [3, 3], [4] * 8, [5] * 8)
    assert packing.next_row().tolist() == [1, 1, 2, 2]
    assert packing.next_row().tolist() == [3, 3, 4, 4]
    assert packing.next_row().tolist() == [5] * 4


def test_a_row_is_short_only_when_nothing_waits():
    packing = packing_of(5, [1, 1])
    assert packing.next_row().tolist() == [1, 1]
    assert packing.next_row().tolist() == []


def test_the_buffer_is_refilled_before_each_choice():
    packing = packing_of(4, [1, 1])
    waiting = [[2, 2], [3, 3, 3]]

    def refill():
        if waiting:
            packing.add(waiting.pop(0))

    assert packing.next_row(refill).tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_it_chooses_what_a_scan_of_the_buffer_would(seed: int):
    rng = random.Random(seed)
    documents = [[index] * rng.randint(1, 30) for index in range(200)]
    packing, waiting = packing_of(20, *documents), list(documents)
    while waiting:
        assert packing.next_row().tolist() == _row_by_scanning(waiting, 20)
    assert len(packing) == 0


def _steps_of_a_row(waiting: int) -> int:
    """Lines and calls of Python that it takes to fill a row of two, among so many that wait."""
    packing, steps = packing_of(40, *([n] * 20 for n in range(waiting))), 0

    def count(*_):
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        packing.next_row()
    finally:
        sys.settrace(before)
    return steps


def test_a_choice_takes_no_more_steps_among_many():
    assert 0 < _steps_of_a_row(20) == _steps_of_a_row(1000)


def _row_by_scanning(waiting: list[list[int]], row_tokens: int) -> list[int]:
    row: list[int] = []
    while len(row) < row_tokens and waiting:
        fitting = [document for document in waiting if len(document) <= row_tokens - len(row)]
        chosen = max(fitting, key=len) if fitting else min(waiting, key=len)
        waiting.remove(chosen)
        row += chosen[: row_tokens - len(row)]
    return row


def test_a_restored_packing_goes_on_the_same():
    rng = random.Random(0)
    packing = packing_of(16, *([index] * rng.randint(1, 20) for index in range(100)))
    packing.next_row()
    other = packing_of(16, [9, 9, 9])
    other.restore(packing.state())
    rows = [packing.next_row().tolist() for _ in range(40)]
    assert [other.next_row().tolist() for _ in range(40)] == rows


def test_an_empty_packing_has_a_state():
    state = BestFit(4).state()
    assert {name: (array.size, array.dtype) for name, array in state.items()} == {
        "tokens": (0, np.dtype(np.int32)),
        "lengths": (0, np.dtype(np.int64)),
        "sources": (0, np.dtype(np.int64)),
    }
    packing = packing_of(4, [1])
    packing.restore(state)
    assert len(packing) == 0


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden vectors are not here")
def test_rows_equal_the_golden_ones():
    golden = json.loads(GOLDEN.read_text())["packing"]
    documents = (
        [golden["bos"]] + [1000 + index] * tokens for index, tokens in enumerate(golden["document_lengths"])
    )
    packing = BestFit(golden["row_tokens"])

    def refill():
        while len(packing) < golden["buffer"]:
            for _ in range(golden["batch"]):
                packing.add(next(documents))

    for batch in golden["batches"]:
        rows = [packing.next_row(refill).tolist() for _ in range(golden["rows"])]
        assert [row[:-1] for row in rows] == batch["inputs"]
        assert [row[-1] for row in rows] == batch["last_target"]


def test_rows_of_whole_documents_hold_each_once_and_none_too_long():
    lengths = [1 + n * 37 % 23 for n in range(300)]
    rows = fit_whole(lengths, 23, buffer=20)
    assert sorted(n for row in rows for n in row) == list(range(300))
    filled = [sum(lengths[n] for n in row) for row in rows]
    assert max(filled) <= 23
    assert sum(filled) / (23 * len(rows)) > 0.95


def test_the_largest_that_fits_is_taken_and_of_equals_the_first():
    assert fit_whole([3, 7, 3, 2, 5], 10, buffer=5) == [[1, 0], [4, 2, 3]]
    assert fit_whole([3, 7, 3, 2, 5], 10, buffer=1) == [[0, 1], [2, 3, 4]]
    assert fit_whole([], 10, buffer=5) == []


def test_a_row_knows_where_its_documents_came_from_and_so_does_a_restored_one():
    packing = BestFit(4)
    for source, document in (((0, 1), [1, 2, 3]), ((0, 2), [4]), ((7, 3), [5, 6, 7, 8])):
        packing.add(document, source)
    state = packing.state()
    other = BestFit(4)
    other.restore(state)
    for one in (packing, other):
        assert one.next_row().tolist() == [5, 6, 7, 8]
        assert one.taken == [(7, 3)]
        assert one.next_row().tolist() == [1, 2, 3, 4]
        assert one.taken == [(0, 1), (0, 2)]


def test_a_state_of_before_sources_were_kept_is_restored():
    packing = BestFit(4)
    packing.add([1, 2], (3, 4))
    state = {name: array for name, array in packing.state().items() if name != "sources"}
    packing.restore(state)
    assert packing.next_row().tolist() == [1, 2]
    assert packing.taken == [(-1, -1)]
