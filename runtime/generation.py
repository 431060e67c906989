"""Write token after token: a prompt is read once, then each new token costs one step over the kept past.

Speaks token ids only. All rows of a call share their prompt; each row has its own random stream.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor, nn

from runtime.dials import Dials
from runtime.model import Blueprint, allocate_past
from runtime.primitives import Now
from runtime.streams import stream


@frozen
class Sampling:
    """How a token is drawn; temperature 0 is greedy."""

    temperature: float = 0.8
    top_k: int | None = 50
    seed: int = 42


@torch.inference_mode()
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
    assert prompt, "a prompt has at least one token"
    device = next(model.parameters()).device
    capacity = len(prompt) + tokens
    past = allocate_past(blueprint, rows=rows, capacity=capacity, dtype=dtype, device=device, dials=dials)
    streams = [stream(sampling.seed, "sample", row) for row in range(rows)]
    written: list[list[int]] = [[] for _ in range(rows)]
    ended = [False] * rows
    new = torch.tensor([prompt] * rows, device=device)
    place = 0
    for _ in range(tokens):
        positions = torch.arange(place, place + new.shape[1], device=device)[None]
        logits = model(new, Now.start(new, dtype, positions, past, dials))[:, -1].float().cpu()
        logits[:, list(never)] = -torch.inf
        place += new.shape[1]
        chosen = [draw(logits[row], sampling, streams[row]) for row in range(rows)]
        for row, token in enumerate(chosen):
            ended[row] = ended[row] or token in stop
            if not ended[row]:
                written[row].append(token)
        if all(ended):
            break
        new = torch.tensor(chosen, device=device)[:, None]
    return written


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Draw an id from the logits (V,) of one row."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    if sampling.top_k is not None and sampling.top_k < len(logits):
        best, ids = logits.topk(sampling.top_k)
    else:
        best, ids = logits, torch.arange(len(logits))
    chances = torch.softmax(best / sampling.temperature, dim=-1)
    return int(ids[torch.multinomial(chances, 1, generator=generator)])
