"""Dials: whole numbers that are chosen at run time, such as how often a loop turns.

A dial says its default, its bounds, and how training draws it. Knows nothing of graphs or torch.
"""

from __future__ import annotations

from attrs import frozen

MOST = 1_024  # turns of any loop


@frozen
class Draw:
    """How training draws a dial: Poisson(exp(tau)) + 1 with tau ~ Normal(ln(mean) - sigma²/2, sigma), bounded.

    Source: looped_nanochat and Huginn (arXiv 2502.05171, section 3.3). The mean of the draw is `mean` + 1
    before the bound, as it is in both.
    """

    draw: str  # "lognormal_poisson", or "fixed": the default at every step
    mean: float = 0.0
    sigma: float = 0.5
    max: int = MOST


@frozen
class Dial:
    """A whole number chosen at run time."""

    name: str
    default: int
    least: int = 1
    most: int = MOST
    train: Draw | None = None
