"""Decoding by the clock: a model with weights that tell tokens apart, its engine's rate, and what memory gives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from nanogen.compiler import Compiled
    from runtime.decoding.engine import Engine

READ = {"cpu": 2**28, "cuda": 2**32}  # bytes: far more than caches hold


def living(compiled: Compiled, *, device: str = "cpu") -> nn.Module:
    """A model as it is initialized, and noise on all of it: zeros would make all tokens alike."""
    from runtime.model import build, initialize

    model = build(compiled.source, compiled.blueprint, device=device).eval()
    initialize(model, compiled.blueprint, seed=0)
    enliven(model, device)
    return model


def enliven(model: nn.Module, device: str) -> None:
    """Noise on all weights."""
    import torch

    noise = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=noise, device=device)
            parameter.add_(drawn * 0.3 * (parameter.shape or (1,))[-1] ** -0.5)


def engine_rate(engine: Engine, prompts: list[list[int]], new: int) -> float:
    """Tokens a second while all rows run: from the last prompt read to the first row that ends."""
    from runtime.decoding.request import Request, Sampling, Token

    for prompt in prompts:
        engine.submit(Request(tuple(prompt), new, Sampling(temperature=0)))
    while engine.waiting:
        engine.step()
    begun, tokens = time.perf_counter(), 0
    while engine.running == len(prompts):
        tokens += sum(isinstance(event, Token) for event in engine.step())
    rate = tokens / (time.perf_counter() - begun)
    while engine.busy:
        engine.step()
    return rate


def bandwidth(device: str = "cpu") -> float:
    """Bytes that this device reads of its memory a second, the best of eight."""
    import torch

    far, rates = torch.ones(READ.get(device, READ["cpu"]) // 4, device=device), []
    for _ in range(8):
        begun = time.perf_counter()
        float(far.sum())  # waits for the device
        rates.append(far.nbytes / (time.perf_counter() - begun))
    return max(rates)
