"""What the optimizer keeps a parameter, and what it borrows in a step, by roles and shapes. Imports no torch.

Counted for Muon as it was in 2024 on all of the role `matrix`, and AdamW on the rest, which the optimizers that
ship all come near: NorMuon keeps one number more a neuron.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def moments(role: str) -> int:
    """Float32 numbers kept a parameter: the momentum of Muon, or both moments of AdamW."""
    return 1 if role == "matrix" else 2


def workspace(parameters: Iterable[tuple[str, tuple[int, ...]]], itemsize: int) -> int:
    """Bytes that a step needs beside them, most at any moment; `itemsize` is that of Newton-Schulz' dtype.

    AdamW moves parameters in place. Muon stacks those of one shape, before and after an iteration, and three squares
    of the shorter side; before that, the float32 direction of one matrix with a copy of it.
    """
    alike = Counter(shape for role, shape in parameters if role == "matrix")
    return max((_muon(count, m, n, itemsize) for (m, n), count in alike.items()), default=0)


def _muon(count: int, m: int, n: int, itemsize: int) -> int:
    """Bytes that Muon borrows for `count` matrices of one shape."""
    return 2 * count * m * n * itemsize + max(3 * count * min(m, n) ** 2 * itemsize, 2 * m * n * 4)
