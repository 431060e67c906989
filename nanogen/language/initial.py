"""Initial laws: how a parameter is filled at step 0, as plain nested lists that the runtime reads.

`["normal", 0.8]`, `["zeros"]`, `["*", 0.5, ["uniform", 0, 1]]`. Knows nothing of tensors.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

Law = Any  # a number, or a tuple: name, then its arguments

DRAWS: dict[str, int] = {"zeros": 0, "ones": 0, "eye": 0, "normal": 1, "trunc": 2, "uniform": 2}  # arguments
VARIABLES = ("c", "fan_in", "fan_out")  # index on the last axis, and the sizes of a matrix
FUNCTIONS = ("sqrt", "exp", "log")

ZEROS: Law = ("zeros",)
ONES: Law = ("ones",)


def linear_law(fan_out: int, fan_in: int) -> Law:
    """normal(min(1, sqrt(fan_out / fan_in)) / sqrt(fan_in)): nanochat's rule for every matrix."""
    return ("normal", min(1.0, sqrt(fan_out / fan_in)) / sqrt(fan_in))


def conv_law(kernel: int) -> Law:
    """PyTorch's own rule for a depthwise convolution."""
    bound = kernel**-0.5
    return ("uniform", -bound, bound)


def shown(law: Law) -> str:
    """Write a law as a spec does."""
    if not isinstance(law, tuple):
        return f"{law:.6g}"
    name, *args = law
    if name in ("+", "-", "*", "/", "**") and len(args) == 2:
        return f"({shown(args[0])} {name} {shown(args[1])})"
    if name == "-":
        return f"-{shown(args[0])}"
    return f"{name}({', '.join(map(shown, args))})" if args else name
