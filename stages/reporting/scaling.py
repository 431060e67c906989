"""What size buys: the pretrained models of a run beside each other, where it has several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanogen.views.figures import columns
from stages.reporting.page import Section
from stages.work import Input

HEAD = ("model", "parameters", "tokens", "a parameter", "training FLOPs", "bits per byte", "CORE")


def scaling(inputs: Sequence[Input]) -> Section | None:
    """The section, or nothing where fewer than two models were pretrained."""
    from stages.reporting.curves import scatter

    models = {found.name: found.result for found in inputs if found.kind == "pretrain" and found.done}
    if len(models) < 2:
        return None
    evaluated = {
        result["model"]["stage"]: result
        for result in (found.result for found in inputs if found.kind == "evaluate_base" and found.done)
    }
    bits = {name: _bits(made, evaluated.get(name)) for name, made in models.items()}
    rows = [_row(name, made, bits[name], evaluated.get(name)) for name, made in models.items()]
    points = [(float(made["flops"]), bits[name], name) for name, made in models.items()]
    note = "All on the validation split: the whole of it where a model was evaluated, else the part that training looks at."
    return Section(
        "Scaling",
        facts=(("", note),),
        text=columns([HEAD, *rows]),
        picture=scatter(points, "validation, bits a byte", "training FLOPs"),
    )


def _bits(made: dict[str, Any], evaluated: dict[str, Any] | None) -> float:
    return evaluated["bits_per_byte"] if evaluated is not None else made["bits_per_byte"]["end"]


def _row(name: str, made: dict[str, Any], bits: float, evaluated: dict[str, Any] | None) -> tuple[str, ...]:
    core = evaluated["core"]["core"] if evaluated is not None else None
    return (
        name,
        f"{made['parameters']:,}",
        f"{made['tokens']:,}",
        f"{made['tokens'] / made['parameters']:.1f}",
        f"{made['flops']:.3e}",
        f"{bits:.4f}",
        "-" if core is None else f"{core:.4f}",
    )
