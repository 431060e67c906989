"""Whole answers: the engine, for who has prompts at hand and no stream of requests."""

from __future__ import annotations

import torch
from torch import nn

from runtime.decoding.engine import Engine
from runtime.decoding.request import Request, Sampling, Token
from runtime.dials import Dials
from runtime.model import Blueprint


def generate(
    model: nn.Module,
    blueprint: Blueprint,
    prompt: list[int],
    *,
    rows: int = 1,
    tokens: int,
    sampling: Sampling,
    stop: frozenset[int] = frozenset(),
    never: frozenset[int] = frozenset(),
    dtype: torch.dtype = torch.float32,
    dials: Dials | None = None,
) -> list[list[int]]:
    """Return `rows` continuations of `prompt`, each of at most `tokens` ids, ended before a stop id.

    Ids in `never` are not drawn. Dials that are not given stand at their defaults.
    """
    engine = Engine(model, blueprint, rows=rows, context=len(prompt) + max(tokens, 1), dtype=dtype)
    request = Request(tuple(prompt), tokens, sampling, rows, stop, never, dials or {})
    return [list(row) for row in answers(engine, [request])[0]]


def answers(engine: Engine, requests: list[Request]) -> list[list[list[int]]]:
    """Return the ids of every sample of every request; the engine answers them side by side."""
    numbers = {engine.submit(request): place for place, request in enumerate(requests)}
    found: list[list[list[int]]] = [[[] for _ in range(r.samples)] for r in requests]
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Token) and event.request in numbers:
                found[numbers[event.request]][event.sample].append(event.id)
    return found


def warm(engine: Engine) -> None:
    """Have everything compiled that requests will need: steps of one row, and of several."""
    for samples in (1, min(3, engine.rows)):
        answers(engine, [Request((0,), 2, Sampling(temperature=0), samples)])
