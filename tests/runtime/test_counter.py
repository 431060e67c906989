"""Random words by counter: always the same, everywhere else others, and without a pattern that is seen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from runtime import counter
from runtime.counter import KEY, WORD, place_below, root, scramble, words

CPU = torch.device("cpu")


def drawn(
    *branches: str | int, seed: int = 0, rows: int = 4, tokens: int = 64, features: tuple[int, ...] = (32,)
) -> Tensor:
    place = root(seed, CPU)
    for branch in branches:
        place = place_below(place, branch)
    return words(place, torch.arange(rows)[:, None], torch.arange(tokens)[None], features)


def test_the_words_are_these_on_every_machine():
    found = drawn("trunk", 3, "mix", seed=7, rows=2, tokens=2, features=(2,))
    assert found.tolist() == [
        [[3181462341, 2758031813], [2244581791, 350161908]],
        [[2686735756, 1186609326], [1873817302, 3112538196]],
    ]


def test_no_number_leaves_the_range_that_all_machines_share():
    """The largest of everything, once more in numbers without bounds."""
    seed, row, position, channels = 2**63 - 1, WORD, 2**40, 2**20

    def place_of(place: int, name: int) -> int:
        return place * counter.PER_BRANCH + scramble(name) & KEY

    place = scramble(scramble(seed & WORD) ^ seed >> 32) * counter.PER_SEED & KEY
    for branch in (WORD, 0, 5):
        place = place_of(place, branch)
    key = place + row * counter.PER_ROW + (position & WORD) * counter.PER_POSITION & KEY
    channel = channels - 1
    wanted = scramble(scramble(key & WORD) + channel * (key >> 10 | 1) & WORD)
    for given in (seed, torch.tensor(seed)):
        found = root(given, CPU)
        for branch in (WORD, 0, 5):
            found = place_below(found, branch)
        last = words(found, torch.tensor([[row]]), torch.tensor([[position]]), (channels,))[0, 0, -1]
        assert (int(found), int(last)) == (place, wanted)
    assert KEY * counter.PER_BRANCH < 2**63
    assert WORD * max(counter.PER_ROW, counter.PER_POSITION, counter.PER_SEED) < 2**63


def test_a_word_is_the_same_whatever_is_drawn_beside_it():
    whole = drawn("x", features=(4, 8))
    place = place_below(root(0, CPU), "x")
    part = words(place, torch.tensor([[2]]), torch.tensor([[5, 9]]), (4, 8))
    assert torch.equal(part, whole[2:3, [5, 9]])
    assert torch.equal(drawn("x", features=(32,)), whole.flatten(2))


def share_alike(a: Tensor, b: Tensor) -> float:
    return float((a == b).double().mean())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (drawn("a"), drawn("b")),
        (drawn("a", 0), drawn("a", 1)),
        (drawn("a", 1, "b", 0), drawn("a", 0, "b", 1)),
        (drawn("a", "b"), drawn("b", "a")),
        (drawn("a"), drawn("a", seed=1)),
        (drawn("a", seed=1), drawn("a", seed=2**32 + 1)),
        (drawn("a")[1:], drawn("a")[:-1]),
        (drawn("a")[:, 1:], drawn("a")[:, :-1]),
        (drawn("a")[..., 1:], drawn("a")[..., :-1]),
        (drawn("a")[1:, 1:], drawn("a")[:-1, :-1]),
    ],
    ids=["name", "layer", "swap", "order", "seed", "high seed", "row", "position", "channel", "diagonal"],
)
def test_neighbours_have_nothing_in_common(one: Tensor, other: Tensor):
    assert share_alike(one, other) < 1e-3
    a, b = (t.double().flatten() - t.double().mean() for t in (one, other))
    assert abs(float((a * b).mean() / (a.std() * b.std()))) < 5 / len(a) ** 0.5


def test_every_bit_is_set_half_of_the_time_and_no_word_comes_often():
    found = drawn("a", rows=8, tokens=256, features=(64,))
    bits = (found[..., None] >> torch.arange(32)) & 1
    assert float((bits.double().mean((0, 1, 2)) - 0.5).abs().max()) < 5 * 0.5 / found.numel() ** 0.5
    assert len(found.unique()) > 0.9999 * found.numel()
    per_row = found.double().mean((1, 2)) / 2**32
    assert float((per_row - 0.5).abs().max()) < 5 * 12**-0.5 / 128


def test_scramble_is_one_to_one():
    assert len(scramble(torch.arange(2**20) * 4096 + 17).unique()) == 2**20
