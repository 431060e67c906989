"""What the optimizer keeps a parameter, and what it borrows in a step, by roles and shapes. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def moments(role: str) -> int:
    """Float32 numbers kept a parameter: the momentum of Muon, or both moments of AdamW."""
    return 1 if role == "matrix" else 2


def workspace(parameters: Iterable[tuple[str, tuple[int, ...]]], itemsize: int) -> int:
    """Bytes that a step needs beside them, most at any moment; `itemsize` is that of Newton-Schulz' dtype.

    AdamW moves parameters in place. Muon stacks those of one shape: the stack as it came, before and after an
    iteration, and two squares of the shorter side.
    """
    alike = Counter(shape for role, shape in parameters if role == "matrix")
    sizes = [count * (3 * m * n + 2 * min(m, n) ** 2) for (m, n), count in alike.items()]
    return itemsize * max(sizes, default=0)
