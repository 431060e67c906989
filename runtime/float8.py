"""Linear maps whose three products are of 8-bit floats: y = x Wᵀ forward, and the gradients of x and of W.

Every tensor has one scale, its own largest number over the format's, found anew at each use and kept on the device:
nothing is waited for. Values and weights have four bits of exponent, gradients five, for they spread further; sums are
wider, and results come in the dtype of the values. Parameters stay as they are, at the same paths, so that saves and
evaluations know nothing of it: outside of training steps a map computes as any other. On a CPU torch does the same
arithmetic by slower code, which serves to test it.
"""
# N positions of all rows filled up to a multiple of 16, I inputs, O outputs

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from attrs import define, frozen
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from runtime.capacity import ADA
from runtime.faults import Fault
from runtime.primitives import Linear

MULTIPLE = 16  # of which the kernels want every size to be
LEAST = 2.0**-100  # of a scale: zeros divided by it are zeros, and it is far from where float32 ends
WITHOUT_ZERO_SIGN = "gfx94"  # AMD's first GPUs that do, in formats without a negative zero


@frozen
class Formats:
    """The formats that a device multiplies."""

    values: torch.dtype
    gradients: torch.dtype


STANDARD = Formats(torch.float8_e4m3fn, torch.float8_e5m2)
UNSIGNED_ZERO = Formats(torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)


@define(eq=False, slots=False)  # code that is compiled looks into it
class Switch:
    """Whether the maps of a model multiply in 8 bits now."""

    formats: Formats
    on: bool = False

    @contextmanager
    def turned_on(self) -> Iterator[None]:
        self.on = True
        try:
            yield
        finally:
            self.on = False


def lacking(device: str) -> str:
    """Why a device cannot multiply 8-bit floats; empty where it can."""
    if device == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability() < ADA:
        return "this GPU does not multiply 8-bit floats"
    return "MPS does not multiply 8-bit floats" if device == "mps" else ""


def formats(device: str) -> Formats:
    """The formats of a device that multiplies them."""
    if device == "cuda" and torch.version.hip is not None:
        name = getattr(torch.cuda.get_device_properties(), "gcnArchName", "")
        return UNSIGNED_ZERO if name.startswith(WITHOUT_ZERO_SIGN) else STANDARD
    return STANDARD


def to_float8(model: nn.Module, paths: Iterable[str], device: str) -> Switch:
    """Make the linear maps at these paths such as the switch turns; raises Fault where the device has no such products."""
    if why := lacking(device):
        raise Fault(why, "go on where the run began, or leave `float8` out")
    switch = Switch(formats(device))
    for path in paths:
        found = model.get_submodule(path)
        assert isinstance(found, Linear), path
        linear: Any = found
        linear.__class__ = Float8Linear  # not another module: who shards a model keeps hold of its modules
        linear.switch = switch
    return switch


class Float8Linear(Linear):
    """What a linear map becomes: in 8 bits while its switch is on."""

    switch: Switch

    def forward(self, x: Tensor) -> Tensor:
        if not self.switch.on:
            return super().forward(x)
        found = self.switch.formats
        y: Any = _Products.apply(x, self.weight, found.values, found.gradients)
        return y if self.bias is None else y + self.bias.to(x.dtype)


class _Products(torch.autograd.Function):
    """x (.., I), weight (O, I) -> (.., O). What backward needs is kept in 8 bits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, values: torch.dtype, gradients: torch.dtype) -> Tensor:
        x_NI, x_scale = scaled(filled(x), values)
        w_OI, w_scale = scaled(weight, values)
        ctx.save_for_backward(x_NI, x_scale, w_OI, w_scale)
        ctx.gradients, ctx.stored = gradients, weight.dtype
        y_NO = product(x_NI, w_OI, x_scale, w_scale, x.dtype, fast=True)
        return y_NO[: x.numel() // x.shape[-1]].view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x_NI, x_scale, w_OI, w_scale = ctx.saved_tensors
        g_NO, g_scale = scaled(filled(up), ctx.gradients)
        x_up = product(g_NO, turned(w_OI), g_scale, w_scale, up.dtype)
        w_up = product(turned(g_NO), turned(x_NI), g_scale, x_scale, up.dtype)
        x_up = x_up[: up.numel() // up.shape[-1]].view(*up.shape[:-1], -1)
        return x_up, w_up.to(ctx.stored), None, None


def filled(x: Tensor) -> Tensor:
    """(.., C) as (N, C): zeros fill up the positions, and add nothing to any product."""
    flat = x.reshape(-1, x.shape[-1])
    rest = -flat.shape[0] % MULTIPLE
    return F.pad(flat, (0, 0, 0, rest)) if rest else flat


def scaled(x: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """A tensor in an 8-bit format, and the float32 scale by which it is to be multiplied.

    What is not finite makes all of it so: a step with such a number is then found out as it would be without.
    """
    most = torch.finfo(kind).max
    scale = (x.abs().amax().float() / most).clamp(min=LEAST)
    return (x.float() / scale).clamp(-most, most).to(kind), scale


def turned(x: Tensor) -> Tensor:
    """The transpose, laid out in rows."""
    return x.t().contiguous()


def product(
    a_NI: Tensor, b_OI: Tensor, a_scale: Tensor, b_scale: Tensor, dtype: torch.dtype, *, fast: bool = False
) -> Tensor:
    """(N, O): each row of one with each row of the other. `fast` sums with fewer bits, where the device has both."""
    multiply: Any = torch._scaled_mm  # pyright: ignore[reportPrivateImportUsage]
    return multiply(  # the second operand lies in columns, as the kernels ask
        a_NI, b_OI.t(), scale_a=a_scale, scale_b=b_scale, out_dtype=dtype, use_fast_accum=fast
    )
