"""Who moves what, and who computes what: all of it once, and about as much each."""

import pytest

from runtime.shares import at_once, even_share, owners, rows_at_once, share_of_step, slice_of, smaller


@pytest.mark.parametrize(("numbers", "count"), [(1, 4), (7, 3), (8, 4), (5, 4), (1000, 7)])
def test_slices_are_all_of_a_parameter_once(numbers, count):
    slices = [slice_of(numbers, rank, count) for rank in range(count)]
    assert [n for s in slices for n in range(s.first, s.last)] == list(range(numbers))
    assert slices[0].last > 0  # what a save needs of a step's count is always there
    assert all(s.last - s.first <= s.part for s in slices)
    assert len({s.part for s in slices}) == 1


def test_matrices_go_where_there_is_the_least_and_equal_ones_evenly():
    sizes = {f"{n}.q": (8, 8) for n in range(4)} | {f"{n}.up": (32, 8) for n in range(4)} | {"skip": (4, 4)}
    owner = owners(sizes, 2)
    assert owner.keys() == sizes.keys()
    for kind in ("q", "up"):
        assert sorted(owner[f"{n}.{kind}"] for n in range(4)) == [0, 0, 1, 1]
    assert owners({"big": (64, 64), "a": (8, 8), "b": (8, 8)}, 2) == {"big": 0, "a": 1, "b": 1}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("micros", "rows", "count"), [(4, 2, 2), (3, 2, 2), (1, 8, 4), (2, 2, 4), (1, 1, 3)])
def test_every_row_of_a_step_is_computed_once(micros, rows, count, whole):
    shares = [share_of_step(micros, rows, rank, count, whole=whole) for rank in range(count)]
    done = [(micro, row) for share in shares for micro, part in share.items() for row in range(rows)[part]]
    assert sorted(done) == [(micro, row) for micro in range(micros) for row in range(rows)]
    assert all(range(rows)[part] for share in shares for part in share.values())
    if whole:
        assert all(part == slice(0, rows) for share in shares for part in share.values())


def test_one_process_computes_it_all_as_it_is():
    assert share_of_step(3, 2, 0, 1) == {micro: slice(0, 2) for micro in range(3)}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("micros", "rows", "count"), [(4, 2, 2), (3, 2, 2), (1, 8, 4), (2, 3, 4), (1, 1, 3)])
def test_what_a_rank_computes_at_once_is_the_most_of_its_share(micros, rows, count, whole):
    shares = [share_of_step(micros, rows, rank, count, whole=whole) for rank in range(count)]
    most = max(len(range(rows)[part]) for share in shares for part in share.values())
    assert at_once(micros, rows, count, whole=whole) == most


@pytest.mark.parametrize(
    ("all_rows", "rows", "count", "wanted"),
    [
        (96, 32, 1, 16),
        (36, 9, 1, 4),  # half of nine is none that divides
        (7, 7, 1, 1),
        (8, 1, 1, None),
        (8, 8, 2, 2),  # in two micro-batches of four, each rank would compute four at once as before
        (12, 4, 2, 1),  # two at once of each of three micro-batches
        (2, 2, 2, None),  # one each
    ],
)
def test_the_next_smaller_micro_batch_halves_what_is_computed_at_once(all_rows, rows, count, wanted):
    found = smaller(all_rows, rows, count)
    assert found == wanted
    if found is not None:
        before, after = (at_once(all_rows // n, n, count) for n in (rows, found))
        assert after <= before // 2
        assert all_rows % found == 0


def test_a_model_that_draws_is_cut_by_whole_micro_batches():
    assert smaller(8, 8, 2, whole=True) == 4


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("micros", "rows", "count"), [(4, 2, 2), (3, 2, 2), (1, 8, 4), (2, 2, 4), (8, 1, 4)])
def test_ranks_in_step_have_equally_many_micro_batches(micros, rows, count, whole):
    shares = [even_share(micros, rows, rank, count, whole=whole) for rank in range(count)]
    done = [(micro, row) for share in shares for micro, part in share.items() for row in range(rows)[part]]
    assert sorted(done) == [(micro, row) for micro in range(micros) for row in range(rows)]
    assert len({len(share) for share in shares}) == 1
    most = max(len(range(rows)[part]) for share in shares for part in share.values())
    assert most == rows_at_once(micros, rows, count, whole=whole)
    if not whole or micros % count:  # the same at the same time
        assert all(list(share) == list(range(micros)) for share in shares)
