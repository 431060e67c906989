"""Lay the weights of linear maps out for decoding on CPU: in the run's dtype, in the order its kernels read.

oneDNN's kernels for few rows are two to three times as fast over weights in their own order. Results differ
from the plain map's by the order of the sums alone. For each number of rows there is a kernel of its own, a megabyte that
stays; many rows are therefore filled up to a number that others share.
"""

from __future__ import annotations

import weakref

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.primitives import Linear

ROWS_HINT = 16  # oneDNN asks for how many; its order for these serves one row and hundreds
EXACT = 64  # rows that are computed as they are: what runs side by side, and seldom changes
SHARED = 32  # more rows, as prompts have them, are filled up to a multiple of this

_packed: dict[int, Tensor] = {}  # by the address of the handle: compiled code takes plain tensors alone


class PrepackedLinear(nn.Module):
    """A linear map with the same parameters at the same paths, for values of one dtype."""

    def __init__(self, linear: Linear, dtype: torch.dtype):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        cast = linear.weight.detach().to(dtype)
        self.cast = nn.Buffer(cast, persistent=False)
        self.cast_bias = (
            None if linear.bias is None else nn.Buffer(linear.bias.detach().to(dtype), persistent=False)
        )
        self.handle = nn.Buffer(torch.zeros(1, dtype=torch.int64), persistent=False)
        address = self.handle.data_ptr()
        _packed[address] = torch.ops.mkldnn._reorder_linear_weight(cast, ROWS_HINT)
        weakref.finalize(self, _packed.pop, address)
        self.constant = False  # whether compiled code holds the weight, and lays it out by itself

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != self.cast.dtype:  # a value that stays wide
            return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))
        if x.numel() == x.shape[-1] and torch.compiler.is_compiling():
            # one row: read each weight once, as fast as memory gives it
            y = (x.flatten().float() * self.cast.float()).sum(-1).to(x.dtype).view(*x.shape[:-1], -1)
            return y if self.cast_bias is None else y + self.cast_bias
        if self.constant and torch.compiler.is_compiling():
            return F.linear(x, self.cast, self.cast_bias)
        return torch.ops.nanogen.prepacked_linear(x, self.cast, self.cast_bias, self.handle)


def can_prepack(device: str | torch.device, dtype: torch.dtype) -> bool:
    """Whether this machine's torch has these kernels."""
    return (
        torch.device(device).type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and (
            dtype == torch.float32
            or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
        )
    )


def prepare(model: nn.Module, dtype: torch.dtype) -> None:
    """Make a model's linear maps fast to decode with on its device; from then on it is for decoding alone."""
    if can_prepack(next(model.parameters()).device, dtype):
        return prepack(model, dtype)
    for module in model.modules():
        if isinstance(
            module, Linear
        ):  # else every step would read the masters and write them in the run's dtype
            for parameter in module.parameters():
                parameter.data = parameter.data.to(dtype)


@torch.no_grad()
def prepack(model: nn.Module, dtype: torch.dtype) -> None:
    """Replace every linear map of a model in place by one over weights in oneDNN's order."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, PrepackedLinear(child, dtype))


def hold_weights(model: nn.Module) -> None:
    """Let code that is compiled for this model alone hold the weights of its prepacked maps as constants."""
    for module in model.modules():
        if isinstance(module, PrepackedLinear):
            module.constant = True


_library = torch.library.Library("nanogen", "DEF")  # the operator lives as long as this does
_library.define("prepacked_linear(Tensor x, Tensor weight, Tensor? bias, Tensor handle) -> Tensor")


def _compute(x: Tensor, weight: Tensor, bias: Tensor | None, handle: Tensor) -> Tensor:
    rows, packed = x.numel() // x.shape[-1], _packed[handle.data_ptr()]
    lacking = -rows % SHARED if rows > EXACT else 0
    if lacking:
        filled = F.pad(x.reshape(rows, -1), (0, 0, 0, lacking))
        y = torch.ops.mkldnn._linear_pointwise.default(filled, packed, bias, "none", [], "")
        return y[:rows].view(*x.shape[:-1], -1)
    return torch.ops.mkldnn._linear_pointwise.default(x, packed, bias, "none", [], "")


def _shape(x: Tensor, weight: Tensor, bias: Tensor | None, handle: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


_library.impl("prepacked_linear", _compute, "CPU")
torch.library.register_fake("nanogen::prepacked_linear", _shape, lib=_library)
