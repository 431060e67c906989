"""Fill parameters at step 0 by their initial laws. A law is nested lists: `["*", 0.5, ["uniform", 0, 1]]`.

Knows nothing of specs; laws come from the blueprint.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_UNARY = {"sqrt": torch.sqrt, "exp": torch.exp, "log": torch.log}
_BINARY = {"+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "**": torch.pow}


def fill(parameter: Tensor, law: Any, generator: torch.Generator) -> None:
    """Overwrite `parameter` by its law; drawn on CPU in float32, so that every device starts alike."""
    value = _value(law, tuple(parameter.shape), generator)
    with torch.no_grad():
        parameter.copy_(value.expand(parameter.shape))


def _value(law: Any, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if isinstance(law, int | float):
        return torch.tensor(float(law))
    name, *args = law
    if name in _UNARY:
        return _UNARY[name](_value(args[0], shape, generator))
    if name in _BINARY and len(args) == 2:
        return _BINARY[name](_value(args[0], shape, generator), _value(args[1], shape, generator))
    if name == "-":
        return -_value(args[0], shape, generator)
    return _draw(name, args, shape, generator)


def _draw(name: str, args: list[Any], shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    tensor = torch.empty(shape)
    numbers = [_value(a, shape, generator) for a in args]
    match name:
        case "zeros":
            return tensor.zero_()
        case "ones":
            return tensor.fill_(1.0)
        case "eye":
            return torch.eye(*shape)
        case "normal":
            return tensor.normal_(generator=generator) * numbers[0]
        case "trunc":
            std, cut = numbers[0], float(numbers[1])
            return nn.init.trunc_normal_(tensor, 0.0, 1.0, -cut, cut, generator=generator) * std
        case "uniform":
            low, high = numbers
            return low + (high - low) * tensor.uniform_(generator=generator)
        case "c":
            return torch.arange(shape[-1], dtype=torch.float32) if shape else torch.tensor(0.0)
        case "fan_in":
            return torch.tensor(float(shape[-1]))
        case "fan_out":
            return torch.tensor(float(shape[0]))
    raise AssertionError(f"a law that the compiler does not write: {name}")
