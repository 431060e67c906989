"""What a model reads for the past alone, plainly or compiled, and the memory of that past."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from runtime.questions import Option, Question
from runtime.reading import Pool
from runtime.scoring import Scorer
from tests.runtime.test_scoring import MODELS, SMALL, check, made, questions, shipped


@pytest.fixture(autouse=True)
def _no_graphs_of_other_models():
    torch._dynamo.reset()  # else what a compiler has learnt of one model's sizes is taken for granted of the next


@pytest.mark.parametrize("name", MODELS)
def test_compiled_reading_gives_the_same_by_one_graph(name):
    compiled = MODELS[name]()
    model, asked = made(compiled), questions()
    scorer, backend = Scorer(model, compiled.blueprint), CompileCounter()
    scorer.passed = 40
    scorer.reader.compile(backend)
    check(scorer.score(asked), model, asked, {})
    assert backend.frame_count == 1  # for any number of positions after any number of others, in any row


def test_a_compiler_is_used():
    compiled = shipped("nanochat_2025", **{**SMALL, "depth": 1})
    model, asked = made(compiled), questions()
    scorer = Scorer(model, compiled.blueprint)
    scorer.passed = 40
    assert not scorer.reader.compiled
    scorer.reader.compile()
    assert scorer.reader.compiled
    check(scorer.score(asked), model, asked, {})


def test_reading_leaves_out_what_serves_logits_alone(monkeypatch):
    compiled = MODELS["nanochat_2025"]()
    model = made(compiled)
    scorer = Scorer(model, compiled.blueprint)
    calls: list[int] = []
    last = model.get_submodule("trunk.1.mlp")
    last.register_forward_hook(lambda module, given, made: calls.append(made.shape[1]))
    scorer.score([Question((Option(tuple(range(33)), 30),))])
    assert calls == [3]


def test_one_past_after_the_other_has_the_same_memory():
    pool = Pool()
    first = pool.zeros(4, 10, dtype=torch.float32, device="cpu")
    other = pool.zeros(3, dtype=torch.float32, device="cpu")
    assert not first.any()
    first.fill_(1)
    pool.rewind()
    again = pool.zeros(5, 9, dtype=torch.float32, device="cpu")
    assert again.data_ptr() == first.data_ptr() != other.data_ptr()
    pool.rewind()
    assert pool.zeros(40, 10, dtype=torch.float32, device="cpu").shape == (40, 10)
