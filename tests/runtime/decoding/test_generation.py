"""Generation: cached decoding is the full forward, and seeds repeat."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nanogen.compiler import Compiled, compile_text
from runtime.decoding.generation import generate
from runtime.decoding.request import Sampling
from runtime.model import build, initialize
from runtime.primitives import Now

SPEC = """
kind = "model"
language = 1
[dims]
vocab = 40
context = 64
[module.attention]
q = "linear(x, 16)"
k = "linear(x, 8)"
mix = "attend(rope(split(q, 4), 100), rope(split(k, 2), 100), split(k, 2), window=6 if i else none)"
y = "linear(flatten(mix), 16)"
[stack.trunk]
layers = 2
a = "attention(rms_norm(x))"
c = "causal_conv(a + shift(x, 2), 3)"
x = "x + c"
[model]
embed = "embedding(tokens, vocab, 16)"
trunk = "trunk(embed)"
logits = "linear(rms_norm(trunk), vocab, init=normal(1))"
"""
GREEDY = Sampling(temperature=0)
PROMPT = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_text(SPEC)


@pytest.fixture(scope="module")
def model(compiled: Compiled) -> nn.Module:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=3)
    return model


def full_forward(model: nn.Module, tokens: int) -> list[int]:
    ids = list(PROMPT)
    with torch.no_grad():
        for _ in range(tokens):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(PROMPT) :]


def test_greedy_is_the_full_forward(compiled: Compiled, model: nn.Module):
    wanted = full_forward(model, 20)
    assert len(set(wanted)) > 3
    assert generate(model, compiled.blueprint, PROMPT, rows=2, tokens=20, sampling=GREEDY) == [wanted] * 2


def test_the_best_of_one_is_greedy(compiled: Compiled, model: nn.Module):
    one = Sampling(temperature=0.7, top_k=1)
    assert generate(model, compiled.blueprint, PROMPT, tokens=20, sampling=one) == [full_forward(model, 20)]


def test_a_seed_repeats_its_rows_however_many_there_are(compiled: Compiled, model: nn.Module):
    def rows(count: int, seed: int) -> list[list[int]]:
        sampling = Sampling(temperature=1.0, top_k=None, seed=seed)
        return generate(model, compiled.blueprint, PROMPT, rows=count, tokens=16, sampling=sampling)

    three = rows(3, 1)
    assert rows(3, 1) == three
    assert rows(1, 1) == three[:1]
    assert rows(3, 2) != three
    assert len({tuple(row) for row in three}) == 3


def test_a_row_ends_before_a_stop_id_and_the_others_go_on(compiled: Compiled, model: nn.Module):
    sampling = Sampling(temperature=1.0, top_k=None, seed=1)
    free = generate(model, compiled.blueprint, PROMPT, rows=3, tokens=16, sampling=sampling)
    stop = free[0][4]
    wanted = [row[: row.index(stop)] if stop in row else row for row in free]
    assert len(wanted[0]) <= 4
    found = generate(
        model, compiled.blueprint, PROMPT, rows=3, tokens=16, sampling=sampling, stop=frozenset({stop})
    )
    assert found == wanted


def test_no_more_tokens_than_asked_for(compiled: Compiled, model: nn.Module):
    assert generate(model, compiled.blueprint, PROMPT, rows=2, tokens=0, sampling=GREEDY) == [[], []]
    assert len(generate(model, compiled.blueprint, PROMPT, tokens=3, sampling=GREEDY)[0]) == 3
    assert generate(model, compiled.blueprint, [1], tokens=2, sampling=GREEDY, dtype=torch.bfloat16)[0]


def test_a_model_without_a_past_generates_too():
    text = """
kind = "model"
language = 1
[dims]
vocab = 8
context = 8
[model]
embed = "embedding(tokens, vocab, 8)"
logits = "linear(embed, vocab)"
"""
    compiled = compile_text(text)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    ids = [2]
    with torch.no_grad():
        while len(ids) < 6:
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert generate(model, compiled.blueprint, [2], tokens=5, sampling=GREEDY) == [ids[1:]]


def test_dials_set_how_often_a_loop_turns():
    text = SPEC.replace("[stack.trunk]\nlayers = 2", '[dial.r]\ndefault = 2\n[loop.trunk]\ntimes = "r"')
    text = text.replace("window=6 if i else none", "window=6").replace('x = "x + c"', 'x = "x + rms_norm(c)"')
    compiled = compile_text(text)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=3)

    def written(r: int | None) -> list[int]:
        dials = None if r is None else {"r": r}
        found = generate(model, compiled.blueprint, PROMPT, tokens=20, sampling=GREEDY, dials=dials)
        ids = list(PROMPT)
        with torch.no_grad():
            for _ in range(20):
                tokens = torch.tensor([ids])
                ids.append(int(model(tokens, Now.start(tokens, dials=dials))[0, -1].argmax()))
        assert found == [ids[len(PROMPT) :]]
        return found[0]

    assert written(None) == written(2)
    assert len({tuple(written(r)) for r in (1, 2, 5)}) == 3
