"""Random streams by name: the same seed and the same name give the same numbers, whatever else was drawn."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seed_of(seed: int, *names: str | int) -> int:
    """Return the seed of a named stream, below 2**63."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def stream(seed: int, *names: str | int) -> torch.Generator:
    """Return the generator of a named stream, on CPU: draws there are the same on every device."""
    import torch  # who checks a run needs seeds' names, and no torch

    return torch.Generator().manual_seed(seed_of(seed, *names))
