"""Draws of made-up tasks: each from its number alone, and parts of what is drawn kept for testing.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from nanogen.text.diagnostics import nearest
from runtime.faults import Fault

TEST_BASE = 10_000_000  # test examples draw from seeds that no training example reaches
SPLITS = ("train", "test")


def draw(split: str, index: int) -> random.Random:
    """The stream of one example."""
    return random.Random(index + (TEST_BASE if split == "test" else 0))


def is_held_out(*what: object, one_in: int) -> bool:
    """Whether something is kept for testing: one in so many is, by what it is and nothing else."""
    text = "\x1f".join(map(str, what))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % one_in == 0


def check_split(name: str, split: str) -> None:
    if split not in SPLITS:
        raise Fault(f"`{name}` has no split `{split}`", nearest(split, SPLITS))


def check_index(index: int, rows: int) -> None:
    if not 0 <= index < rows:
        raise IndexError(index)


def pick(rng: random.Random, of: Sequence[str]) -> str:
    return of[rng.randrange(len(of))]
