"""Reading ahead: the same batches, the state of the batch that was taken, and a clean end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import define

from runtime import ahead
from runtime.ahead import Ahead
from runtime.batches import Batch
from runtime.conversations import ConversationLoader, is_written, read_conversations, write_conversations
from runtime.corpus import write_corpus
from runtime.faults import Fault
from runtime.loader import Loader
from runtime.tokenizer import Tokenizer

TOKENIZER = Tokenizer(tuple(bytes([value]) for value in range(256)))  # a token a byte


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    documents = [f"{number}:" + "x" * (number * 7 % 61) for number in range(400)]
    write_corpus(folder, documents, validation=0.1, shard_bytes=5000)
    return folder


def corpus_loader(folder: Path) -> Loader:
    return Loader(folder, TOKENIZER, rows=3, length=32, buffer=40, threads=1)


def conversation_loader(folder: Path) -> ConversationLoader:
    rendered = [([1] * (5 + n % 9), [0] + [1] * (4 + n % 9)) for n in range(50)]
    if not is_written(folder, row_tokens=17):  # once: another thread may be reading it
        write_conversations(folder, rendered, row_tokens=17)
    return ConversationLoader(read_conversations(folder), 3, 16, 0, seed=1)


@pytest.fixture(params=["corpus", "conversations"])
def made(request: pytest.FixtureRequest, folder: Path, tmp_path: Path):
    """Makes one loader after another, all from the start."""
    if request.param == "corpus":
        return lambda: corpus_loader(folder)
    return lambda: conversation_loader(tmp_path)


@define
class Counting:
    """A loader that counts, and raises at one number."""

    bad: int = -1
    count: int = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self.count == self.bad:
            raise Fault(f"batch {self.count} is bad", "")
        self.count += 1
        return torch.tensor([[self.count]]), torch.tensor([[self.count]])

    def state(self) -> dict[str, np.ndarray]:
        return self.told()()

    def told(self):
        now = np.array([self.count])
        return lambda: {"count": now}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.count = int(state["count"][0])

    def sources(self) -> list[list[int]]:
        return [[self.count]]

    def names(self, sources) -> list[str]:
        return [f"number {s}" for s in sources]


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_batches_sources_and_states_are_those_of_the_loader_itself(made):
    plain, reading = made(), Ahead(made())
    assert equal(reading.state(), plain.state())
    for _ in range(120):  # more than an epoch
        wanted, found = next(plain), next(reading)
        assert torch.equal(found[0], wanted[0])
        assert torch.equal(found[1], wanted[1])
        assert reading.sources() == plain.sources()
        assert reading.names(reading.sources()[0]) == plain.names(plain.sources()[0])
        assert equal(reading.state(), plain.state())
    reading.close()


def test_a_restored_one_goes_on_behind_the_batch_that_was_taken(made):
    first = Ahead(made())
    for _ in range(7):
        next(first)
    state = first.state()
    wanted = [next(first) for _ in range(5)]
    first.restore(state)  # the same one back again, with batches waiting
    again = [next(first) for _ in range(5)]
    other = Ahead(made())
    other.restore(state)
    elsewhere = [next(other) for _ in range(5)]
    for one, two, three in zip(wanted, again, elsewhere, strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[0], three[0])
    first.close()
    other.close()


def test_a_save_goes_on_with_or_without_reading_ahead(made):
    """As where a run is cut off on one machine, and goes on on another."""
    plain, reading = made(), Ahead(made())
    for _ in range(7):
        next(plain)
        next(reading)
    from_ahead, from_plain = made(), Ahead(made())
    from_ahead.restore(reading.state())
    from_plain.restore(plain.state())
    for _ in range(100):  # more than an epoch
        wanted, one, other = next(plain), next(from_ahead), next(from_plain)
        assert torch.equal(one[0], wanted[0])
        assert torch.equal(other[0], wanted[0])
        assert equal(from_ahead.state(), from_plain.state())
    reading.close()
    from_plain.close()


def test_a_closed_one_leaves_its_loader_behind_the_batch_that_was_taken(made):
    plain, loader = made(), made()
    reading = Ahead(loader)
    for _ in range(4):
        assert torch.equal(next(plain)[0], next(reading)[0])
    reading.close()
    assert reading._thread is None
    assert torch.equal(next(loader)[0], next(plain)[0])
    next(plain)
    next(loader)
    assert torch.equal(next(reading)[0], next(plain)[0])  # and may be read on from
    reading.close()


def test_a_fault_comes_where_its_batch_would_and_ends_the_thread():
    reading = Ahead(Counting(bad=3))
    assert [int(inputs) for inputs, _ in islice(reading, 3)] == [1, 2, 3]
    for _ in range(2):  # and again: nothing follows it
        with pytest.raises(Fault, match="batch 3 is bad"):
            next(reading)
    assert reading._thread is None
    assert reading.state()["count"] == 3


def test_no_more_is_made_than_may_wait():
    loader = Counting()
    reading = Ahead(loader, depth=2)
    next(reading)
    reading.close()
    assert loader.count == 1  # given back what was made ahead
    reading = Ahead(loader, depth=2)
    next(reading)
    while reading._made.qsize() < 2:
        threading.Event().wait(0.001)
    threading.Event().wait(0.05)
    assert loader.count <= 1 + 1 + 2 + 1  # taken, waiting, and one that has no place yet
    reading.close()


def test_closing_before_the_first_batch_does_nothing():
    reading = Ahead(Counting())
    reading.close()
    assert reading.state()["count"] == 0


def test_a_thread_is_not_set_beside_those_that_all_compute(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    assert not ahead.pays("cpu")
    assert ahead.pays("cuda")
    monkeypatch.setattr(ahead, "cores", lambda: 4)
    assert ahead.pays("cpu")
