"""What ranks say to each other, as far as one of them can tell: alone, and in a group of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from runtime.optimizer import Entry, Optimizer
from runtime.ranks import ALONE, Joined, Lost
from runtime.sharded import ShardedOptimizer
from tests.rules import rules

SHAPES = {"embedding": (5, 3), "matrix": (8, 8), "gain": (7,), "scalar": ()}


@pytest.fixture
def joined() -> Iterator[Joined]:
    """A rank whose groups are of itself alone: every collective is there, and changes nothing."""
    kinds: Any = dist
    store = kinds.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield Joined(0, 1, store, dist.new_group(backend="gloo"), dist.new_group(backend="gloo"))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


@pytest.fixture(params=["alone", "joined"])
def ranks(request):
    return ALONE if request.param == "alone" else request.getfixturevalue("joined")


def test_sums_are_those_of_all(ranks):
    assert ranks.total(1.5, 2) == [1.5, 2]
    assert ranks.most(0, True, 15) == [0, 1, 15]
    assert ranks.measured(lambda: (3.0, 4.0), 2) == [3.0, 4.0]
    with ranks.leader_first():
        assert ranks.leads


def test_out_of_memory_is_told_to_all_and_raised(ranks):
    def small() -> list[float]:
        raise MemoryError

    with pytest.raises(MemoryError):
        ranks.measured(small, 2)


def test_another_error_is_not_kept_back(ranks):
    def wrong() -> list[float]:
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        ranks.measured(wrong, 2)


def test_an_order_is_heard_as_it_was_told(joined):
    told = {"stage": "Grüße"}
    joined.tell(told)
    assert joined._broadcast(b'{"stage": 1}') == b'{"stage": 1}'


def test_what_torch_raises_becomes_one_fault(joined):
    with (
        pytest.raises(Lost, match="the ranks have lost each other: connection closed") as lost,
        joined.guarded(),
    ):
        raise RuntimeError("connection closed\nand much more")
    assert lost.value.speaks
    assert "the same command goes on" in lost.value.help


def test_who_ended_with_a_word_is_quoted_and_this_one_is_silent(joined):
    joined.note("the disk is full")
    joined.note("this came second")
    with pytest.raises(Lost, match="rank 0 has ended: the disk is full") as lost, joined.guarded():
        raise RuntimeError("connection closed")
    assert not lost.value.speaks


def entries_of() -> list[Entry]:
    draw = torch.Generator().manual_seed(0)
    return [
        Entry(role, role, nn.Parameter(torch.randn(shape, generator=draw))) for role, shape in SHAPES.items()
    ]


def step(entries: list[Entry], optimizer: Any, *, without: str = "") -> None:
    """A step on gradients that follow from the weights."""
    losses = [(e.parameter.sin() * (n + 1)).sum() for n, e in enumerate(entries) if e.path != without]
    torch.stack(losses).sum().backward()
    if isinstance(optimizer, ShardedOptimizer):
        assert optimizer.collect(1.0) == 1.0
    optimizer.step(0.5, 0.9)
    optimizer.zero_grad()


@pytest.mark.parametrize("bucket", [1, 10, 10_000])
def test_an_optimizer_over_one_rank_is_the_plain_one(joined, bucket):
    mine, plain = entries_of(), entries_of()
    sharded = ShardedOptimizer(mine, rules(8), joined, dtype="float32", bucket=bucket)
    whole = Optimizer(plain, rules(8), dtype="float32")
    assert sharded.groups == whole.groups
    for without in ("", "gain", "embedding", ""):  # what has no gradient stays, with its state
        step(mine, sharded, without=without)
        step(plain, whole, without=without)
    for entry, other in zip(mine, plain, strict=True):
        assert torch.equal(entry.parameter, other.parameter), entry.path
    assert list(sharded.state()) == list(whole.state())
    for key, tensor in whole.state().items():
        assert torch.equal(sharded.state()[key], tensor), key


def test_gradients_that_are_sent_as_they_arrive_are_whole(joined):
    """The second step overlaps, and gradients of two backward passes have to be in it."""
    mine, plain = entries_of(), entries_of()
    sharded = ShardedOptimizer(mine, rules(8), joined, dtype="float32", bucket=10)
    whole = Optimizer(plain, rules(8), dtype="float32")
    for _ in range(3):
        for entries, optimizer in ((mine, sharded), (plain, whole)):
            torch.stack([e.parameter.cos().sum() for e in entries]).sum().backward()
            if isinstance(optimizer, ShardedOptimizer):
                optimizer.overlap()
            step(entries, optimizer)
    assert all(torch.equal(e.parameter, o.parameter) for e, o in zip(mine, plain, strict=True))
