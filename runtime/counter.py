"""Give whole numbers that look random by counter: each follows from a seed, a place, a row, a position and a
channel, and from nothing that was drawn before.

No product reaches 2**63, so that every machine has the same.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

WORD = 2**32 - 1
KEY = 2**42 - 1
PRIME = 2**32 - 5
PER_BRANCH = 1_640_531  # odd factors: of a key, below 2**21; of what is below 2**32, below 2**31
PER_ROW, PER_POSITION, PER_SEED = 1_779_033_703, 1_013_904_243, 1_359_893_119

Whole = Any  # int or Tensor: the arithmetic is the same


def scramble(number: Whole) -> Whole:
    """Mix the bits of whole numbers below 2**32, one to one.

    Shifts and factors are those that hash-prospector found best (github.com/skeeto/hash-prospector).
    """
    number = (number ^ number >> 16) * 0x21F0AAAD & WORD
    number = (number ^ number >> 15) * 0x735A2D97 & WORD
    return number ^ number >> 15


def root(seed: int | Tensor, device: torch.device) -> Tensor:
    """The place that all places are below: a number below 2**42 that follows from the seed."""
    mixed = scramble(scramble(seed & WORD) ^ seed >> 32 & WORD) * PER_SEED & KEY
    return mixed.to(device) if isinstance(mixed, Tensor) else torch.full((), mixed, device=device)


def place_below(place: Tensor, branch: str | int) -> Tensor:
    """The place of a branch of a place: a tensor, so that compiled code is the same for all."""
    name = int.from_bytes(branch.encode()) % PRIME if isinstance(branch, str) else branch
    return place * PER_BRANCH + scramble(name) & KEY


def words(place: Tensor, rows: Tensor, positions: Tensor, features: tuple[int, ...]) -> Tensor:
    """Whole numbers below 2**32 (B, T, *features); `rows` are (B, 1) and `positions` (1 or B, T).

    A position's key is a sum, for a compiler repeats what is read twice. It sets the start and the stride of
    a walk over the channels, whose every step is scrambled.
    """
    key = place + (rows & WORD) * PER_ROW + (positions & WORD) * PER_POSITION & KEY
    start, stride = scramble(key & WORD), key >> 10 | 1
    start, stride = (t.view(*key.shape, *[1] * len(features)) for t in (start, stride))
    channel = torch.arange(prod(features), device=place.device).view(features)
    return scramble(start + channel * stride & WORD)
