"""Where dials stand: whole numbers of a model that are chosen at run time, such as how often a loop turns.

Training draws them anew for each micro-batch, each from a random stream of its own: a run that goes on draws
what it would have drawn. Everything else uses their defaults, or what is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.faults import Fault
from runtime.streams import stream

if TYPE_CHECKING:
    import torch

Dials = dict[str, int]
Declared = Mapping[str, Mapping[str, Any]]  # `dials` of a blueprint


def draw_dials(declared: Declared, *, seed: int, step: int, micro: int) -> Dials:
    """Where training puts every dial for a micro-batch of a step."""
    return {name: _draw(dial, stream(seed, "dial", name, step, micro)) for name, dial in declared.items()}


def _draw(dial: Mapping[str, Any], generator: torch.Generator) -> int:
    law = dial["train"]
    if law is None or law["draw"] == "fixed":
        return dial["default"]
    assert law["draw"] == "lognormal_poisson", law
    found = lognormal_poisson(law["mean"], law["sigma"], generator)
    return max(dial["least"], min(found, law["max"]))


def lognormal_poisson(mean: float, sigma: float, generator: torch.Generator) -> int:
    """Poisson(exp(tau)) + 1 with tau ~ Normal(ln(mean) - sigma² / 2, sigma): its mean is `mean` + 1."""
    import torch  # who checks a run needs the bounds of dials, and no torch

    normal = torch.randn((), dtype=torch.float64, generator=generator)
    rate = (math.log(mean) - sigma**2 / 2 + sigma * normal).exp()
    return int(torch.poisson(rate, generator=generator)) + 1


def check_dials(declared: Declared, asked: Mapping[str, int]) -> Dials:
    """Return what was asked for; raises Fault where the model has no such dial, or it does not go there."""
    for name, value in asked.items():
        if name not in declared:
            known = ", ".join(f"`{n}`" for n in declared)
            help = f"it has {known}" if known else "it has no dials"
            raise Fault(f"the model has no dial `{name}`", help)
        least, most = declared[name]["least"], declared[name]["most"]
        if not least <= value <= most:
            message = f"the dial `{name}` goes from {least:,} to {most:,}, and {value:,} is asked for"
            raise Fault(message, f"unsaid, it stands at {declared[name]['default']:,}")
    return dict(asked)
