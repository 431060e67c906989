"""A model whose tokens differ, and an engine's rate while all rows run."""

import torch

from nanogen.compiler import compile_file
from nanogen.shelf import find
from runtime.decoding.engine import Engine
from runtime.model import build, initialize
from stages.benching import decoding
from stages.benching.decoding import bandwidth, engine_rate, living

SMALL = {"depth": 2, "width": 64, "heads": 1, "vocab": 64, "context": 32}


def test_a_living_model_tells_tokens_apart_and_is_the_same_each_time():
    compiled = compile_file(find("nanochat_2025", "model"), SMALL)
    models = living(compiled), living(compiled)
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other), name
        assert float(one.detach().std()) > 0, name
    logits = models[0](torch.tensor([[1, 2, 3]]))
    assert not torch.equal(logits[0, 0], logits[0, 1])


def test_a_parameter_that_is_one_number_lives_too():
    dims = {"depth": 2, "width": 128, "vocab": 64, "context": 256}
    compiled = compile_file(find("nanochat_2026", "model"), dims)
    numbers = {name: p for name, p in living(compiled).named_parameters() if p.ndim == 0}
    asleep = build(compiled.source, compiled.blueprint)
    initialize(asleep, compiled.blueprint, seed=0)
    assert numbers
    assert all(p.item() != asleep.get_parameter(name).item() for name, p in numbers.items())


def test_all_that_was_asked_is_written_and_the_engine_is_free():
    compiled = compile_file(find("nanochat_2025", "model"), SMALL)
    engine = Engine(living(compiled), compiled.blueprint, rows=3, context=16)
    assert engine_rate(engine, [[1, 2], [3, 4], [5, 6]], 8) > 0
    assert not engine.busy


def test_memory_gives_something(monkeypatch):
    monkeypatch.setattr(decoding, "READ", {"cpu": 1 << 20})
    assert bandwidth() > 0
