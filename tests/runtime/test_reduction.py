"""Buckets: every parameter in one, none of two owners, filled in the order of a backward pass."""

import torch
from torch import nn

from runtime.reduction import make_buckets


def test_buckets_hold_all_and_close_when_they_are_full():
    sizes = [4, 4, 9, 2, 2, 2]
    parameters = [nn.Parameter(torch.zeros(size)) for size in sizes]
    owner = {parameters[0]: 0, parameters[1]: 1, parameters[3]: 1}
    buckets = make_buckets(parameters, owner, 2, 4)
    found = [
        (
            bucket.owner,
            [next(n for n, p in enumerate(parameters) if p is m.parameter) for m in bucket.members],
        )
        for bucket in buckets
    ]
    assert found == [(None, [5, 4]), (None, [2]), (1, [3, 1]), (0, [0])]


def test_a_part_is_the_same_for_every_rank():
    parameters = [nn.Parameter(torch.zeros(7)), nn.Parameter(torch.zeros(3))]
    (bucket,) = make_buckets(parameters, {}, 4, 1000)
    assert [(m.start, m.part) for m in bucket.members] == [(0, 1), (1, 2)]
    assert bucket.part == 3
