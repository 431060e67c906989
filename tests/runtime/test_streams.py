"""Random streams: a name is a stream, whatever else was drawn."""

import torch

from runtime.streams import seed_of, stream


def test_a_name_gives_the_same_numbers_again():
    one = torch.rand(5, generator=stream(7, "init", "a"))
    torch.rand(100)
    assert torch.equal(one, torch.rand(5, generator=stream(7, "init", "a")))


def test_other_seeds_and_other_names_give_other_numbers():
    seeds = {
        seed_of(*parts)
        for parts in [(7, "a"), (8, "a"), (7, "b"), (7, "a", 0), (7, "a", 1), (7,), (7, "a", "b")]
    }
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_stays_what_it_is():
    """Runs that were made long ago are made again from their seed."""
    assert seed_of(42, "init", "embed.weight") == 8578641187980031710
