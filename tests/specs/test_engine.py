"""Every model that ships, made small, in the engine: unequal prompts that join midway, far past every window."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from nanogen.shelf import shipped
from runtime.decoding.engine import Engine
from runtime.decoding.generation import answers
from runtime.decoding.request import Request, Sampling
from runtime.primitives import Now
from tests.specs.test_decoding import small, stands

CONTEXT, TOKENS = 300, 256
LENGTHS = (5, 1, 40, 17)
CROWD = 32


@lru_cache
def prompts(vocab: int, count: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(vocab)
    lengths = [LENGTHS[n % len(LENGTHS)] for n in range(count)]
    return [tuple(torch.randint(vocab, (n,), generator=generator).tolist()) for n in lengths]


@pytest.mark.parametrize("name", shipped("model"))
def test_greedy_tokens_are_those_of_the_full_forward(name: str):
    compiled, model = small(name, CONTEXT)
    places = stands(compiled)
    asked = [
        Request(prompt, TOKENS, Sampling(temperature=0), dials=places[n % len(places)])
        for n, prompt in enumerate(prompts(compiled.graph.vocab, 4))
    ]
    found = answers(Engine(model, compiled.blueprint, rows=3, chunk=16), asked)
    for request, (row,) in zip(asked, found, strict=True):
        assert len(row) == TOKENS
        # one pass over prompt and answer tells what a pass over each beginning of it would have chosen
        ids = torch.tensor([[*request.prompt, *row[:-1]]])
        with torch.no_grad():
            logits = model(ids, Now.start(ids, dials=request.dials))
        assert logits[0, len(request.prompt) - 1 :].argmax(-1).tolist() == row


@pytest.mark.parametrize("name", shipped("model"))
def test_a_seed_gives_the_same_tokens_alone_and_in_a_crowd(name: str):
    compiled, model = small(name, CONTEXT)
    asked = [
        Request(prompt, 24 + n, Sampling(temperature=1.0, top_k=20, seed=n))
        for n, prompt in enumerate(prompts(compiled.graph.vocab, CROWD))
    ]
    crowd = answers(Engine(model, compiled.blueprint, rows=CROWD), asked)
    for n in (0, 13, CROWD - 1):
        assert answers(Engine(model, compiled.blueprint, rows=1), [asked[n]]) == [crowd[n]]
