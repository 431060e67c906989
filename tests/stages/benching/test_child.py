"""What the process of a measurement hands back, at a size that takes a moment."""

import io
import json

import pytest

from nanogen.shelf import find
from stages.benching import child, decoding
from stages.benching.order import OUT_OF_MEMORY, Order, Sizes

SMALL = {"depth": 2, "width": 64, "heads": 1, "vocab": 64, "context": 32}
SIZES = Sizes(steps=1, repeats=2, batches=(1, 2), prompt=4, new=4)


def order(what: str, spec: str = "nanochat_2025", dims: dict | None = None) -> Order:
    path, dims = str(find(spec, "model")), SMALL if dims is None else dims
    return Order(what, path, dims, 2, 16, SIZES, "muon_adamw_2025", compiled="no", dtype="float32")


@pytest.fixture(autouse=True)
def as_before():
    """Training asks a whole process for deterministic code."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def told(monkeypatch, capsys):
    """What the process prints last, of an order."""
    monkeypatch.setattr(decoding, "READ", {"cpu": 1 << 20})

    def run(one: Order) -> dict:
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(one.plain())))
        assert child.main() == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_training_gives_samples_of_steps(told):
    found = told(order("train"))
    assert len(found["steps"]) == SIZES.repeats
    assert min(found["steps"]) > 0
    assert (found["device"], found["dtype"], found["compiled"]) == ("cpu", "float32", False)
    assert found["peak"] >= 0
    assert found["environment"]["torch"]


def test_it_is_trained_as_stages_train(told, monkeypatch):
    called = []
    monkeypatch.setattr("runtime.device.ready_to_train", lambda: called.append(1))
    told(order("train"))
    assert called == [1]


def test_a_model_with_a_dial_is_trained_at_its_default(told):
    dims = {"width": 128, "vocab": 64, "context": 32}
    assert len(told(order("train", "looped", dims))["steps"]) == SIZES.repeats


def test_decoding_gives_rates_at_each_batch(told):
    found = told(order("decode"))
    assert set(found["rates"]) == set(found["first"]) == {"1", "2"}
    assert all(len(rates) == SIZES.repeats and min(rates) > 0 for rates in found["rates"].values())
    assert found["bandwidth"] > 0


def test_memory_that_is_too_small_is_an_answer(told, monkeypatch):
    def too_much(*_):
        raise MemoryError

    monkeypatch.setattr(child, "_trainer", too_much)
    assert told(order("train")) == {"fault": OUT_OF_MEMORY}


def test_any_other_error_is_ours(told, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(child, "_trainer", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        told(order("train"))
