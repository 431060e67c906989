"""Make Muon steps: momentum whose singular values are all set near one before it moves a matrix, and what came after.

Knows nothing of roles, paths, schedules or other optimizers: `runtime/optimizer.py` says which parameters
come here, with what rate, decay and momentum. For one matrix W with gradient G, the lines in brackets where
a `Variant` asks for them:

    M <- lerp(M, G, 1 - momentum)                 momentum buffer, an exponential average
    U <- lerp(G, M, momentum)                     Nesterov: look one step ahead
    [MuonEq]    rows of U to one norm             no row is heard more than another
    U <- orthogonalize(U)                         Newton-Schulz, or Polar Express
    [Muon+]     U to the norm of a true rotation  whatever the iteration left undone
    [NorMuon]   U / root mean square, by neuron   an AdamW second moment for each row (or column)
    W <- W - lr * scale(m, n) * (U + decay * W)   [cautious: decay only where U shrinks W as well]

Sources: Keller Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024; Amsel and others, "The
Polar Express", 2025; Li and others, "NorMuon", 2025; nanochat of July 2026 for the rest and for all constants.

Shapes: K matrices of one shape, m rows (outputs), n columns (inputs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

# p(s) = a s + b s^3 + c s^5, applied to every singular value s in each iteration. One polynomial for all
# iterations, its slope at zero as steep as it can be while p keeps [0, 1] within about [0.7, 1.2]; it never
# converges to 1, nor need it.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
# Another polynomial for each iteration, each the best for the range that the one before it leaves.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
# What the norm is multiplied by, and what is added to it, before it divides: s <= 1 must hold in bfloat16 too.
MARGIN = {"newton_schulz": (1.0, 1e-7), "polar_express": (1.01, 1e-6)}
TINY = 1e-6  # norms below it are those of zeros


def wide_step(rows: int, columns: int) -> float:
    """How much longer the step of a tall matrix is: the rms of an element is then that of the square case."""
    return max(1.0, rows / columns) ** 0.5


@frozen
class Variant:
    """What Muon does beside its rate and momentum; as it stands, the Muon of 2024."""

    orthogonalize: str = "newton_schulz"  # or "polar_express"
    iterations: int = 5
    equalize: bool = False  # MuonEq
    renormalize: bool = False  # Muon+
    variance_beta: float | None = None  # NorMuon
    cautious: bool = False
    scale: Callable[[int, int], float] = wide_step  # of the step, by rows and columns


def orthogonalize(
    matrices: Iterable[Tensor],
    count: int,
    *,
    steps: int = 5,
    dtype: torch.dtype = torch.bfloat16,
    kind: str = "newton_schulz",
) -> Tensor:
    """Bring the singular values of `count` matrices of one shape near one by `steps` quintic iterations.

    The norm is taken and divided by in float32, all else runs in `dtype`, which is also the dtype of the result.
    What is rounded where is, to the bit, what torch.compile makes of the code that recorded runs were made with:
    in bfloat16 another order comes out 3 % away. Where a processor only emulates bfloat16, float32 is 10 to 100
    times as fast.
    """
    polynomials = coefficients(kind, steps)
    x, scaled, tall = begin(matrices, count, first=polynomials[0][0], dtype=dtype, kind=kind)
    for turn, (a, b, c) in enumerate(polynomials):
        square = x @ x.mT
        inner = (b * square).baddbmm_(c * square, square)
        del square
        scaled = a * x if turn else scaled
        x = scaled.baddbmm_(inner, x)
    return x.mT if tall else x


def begin(
    matrices: Iterable[Tensor], count: int, *, first: float, dtype: torch.dtype, kind: str
) -> tuple[Tensor, Tensor, bool]:
    """Stack matrices with all singular values at most 1, wider than tall; the same times `first`; if they were tall."""
    x, scaled, tall = torch.empty(0), torch.empty(0), False
    margin, eps = MARGIN[kind]
    for place, matrix in enumerate(matrices):  # one at a time, so that float32 copies do not pile up
        if place == 0:
            rows, columns = matrix.shape
            tall = rows > columns  # X @ X.mT shall be the smaller of the two squares
            shape = (count, min(rows, columns), max(rows, columns))
            x, scaled = (torch.empty(shape, dtype=dtype, device=matrix.device) for _ in range(2))
        wide = matrix.mT if tall else matrix
        norm = wide.square().sum().sqrt()  # of Frobenius, and so at least the spectral one
        wide = wide / (norm * margin + eps)
        x[place] = wide
        scaled[place] = wide.mul_(first)  # from what was not rounded yet
        del matrix, wide
    return x, scaled, tall


def coefficients(kind: str, steps: int) -> list[tuple[float, float, float]]:
    """The polynomials of `steps` iterations; past its list Polar Express repeats the last one."""
    if kind == "newton_schulz":
        return [NEWTON_SCHULZ] * steps
    return [*POLAR_EXPRESS[:steps], *[POLAR_EXPRESS[-1]] * (steps - len(POLAR_EXPRESS))]


def equalize_rows(direction_mn: Tensor) -> Tensor:
    """Give all rows of a matrix one norm, and the matrix the norm it had."""
    norms = direction_mn.norm(dim=-1, keepdim=True)
    wanted = direction_mn.norm() / direction_mn.shape[0] ** 0.5
    return direction_mn * (wanted / norms.clamp_min(TINY))


def renormalize(direction_mn: Tensor) -> Tensor:
    """Give a matrix the Frobenius norm that it would have with all singular values at one."""
    return direction_mn * (min(direction_mn.shape) ** 0.5 / direction_mn.norm().clamp_min(TINY))


def variance_axis(shape: torch.Size) -> int:
    """The axis that the second moment is a mean over: the shorter one, so that it is one number a neuron."""
    return -1 if shape[0] >= shape[1] else -2


def even_out(direction_mn: Tensor, variance: Tensor, beta: float) -> Tensor:
    """Divide by the running root mean square of each row (or column); the Frobenius norm stays. Updates `variance`."""
    axis = variance_axis(direction_mn.shape)
    square = direction_mn.square().mean(dim=axis, keepdim=True)
    variance.lerp_(square, 1 - beta)
    factor = variance.clamp_min(1e-10).rsqrt()
    before, after = square.sum().sqrt(), (square * factor.square()).sum().sqrt()
    return direction_mn * (factor * (before / after.clamp_min(1e-10)))


class Muon(torch.optim.Optimizer):
    """Muon over 2-D parameters; those of equal shape in a group go through one batched iteration.

    The state is `momentum`, one tensor a parameter, and for NorMuon `variance`, one number a neuron, allocated
    at once so that a checkpoint of a fresh optimizer is complete. A parameter without a gradient is left as it is.
    """

    def __init__(
        self,
        params: Iterable[Any],  # tensors or groups, as in every torch optimizer
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        decay: float = 0.0,
        variant: Variant | None = None,
        dtype: torch.dtype = torch.bfloat16,  # of the iteration only; weights and state keep theirs
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "decay": decay, "dtype": dtype}
        super().__init__(params, {**defaults, "variant": variant or Variant()})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for parameter in group["params"]:
            assert parameter.ndim == 2, f"muon takes matrices, got shape {tuple(parameter.shape)}"
            self.state[parameter]["momentum"] = torch.zeros_like(parameter)
            if group["variant"].variance_beta is not None:
                of = parameter.detach().mean(dim=variance_axis(parameter.shape), keepdim=True)
                self.state[parameter]["variance"] = torch.zeros_like(of)

    @torch.no_grad()
    def step(self) -> None:  # no closure: nothing here evaluates the loss again
        for group in self.param_groups:
            for matrices in by_shape(p for p in group["params"] if p.grad is not None):
                self._move(matrices, group)

    def _move(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        """Update parameters of one shape in place."""
        variant: Variant = group["variant"]
        directions = (self._direction(p, group["momentum"], variant) for p in matrices)
        stack_Kmn = orthogonalize(
            directions,
            len(matrices),
            steps=variant.iterations,
            dtype=group["dtype"],
            kind=variant.orthogonalize,
        )
        rate = group["lr"] * variant.scale(*matrices[0].shape)
        for parameter, direction_mn in zip(matrices, stack_Kmn, strict=True):
            step_mn = self._finished(parameter, direction_mn, variant)
            shrink(parameter, step_mn, rate * group["decay"], cautious=variant.cautious)
            parameter.add_(step_mn, alpha=-rate)

    def _direction(self, parameter: Tensor, momentum: float, variant: Variant) -> Tensor:
        """Take the gradient into the momentum buffer; return the Nesterov direction."""
        assert parameter.grad is not None
        average = self.state[parameter]["momentum"]
        average.lerp_(parameter.grad, 1 - momentum)
        direction_mn = parameter.grad.lerp(average, momentum)
        return equalize_rows(direction_mn) if variant.equalize else direction_mn

    def _finished(self, parameter: Tensor, direction_mn: Tensor, variant: Variant) -> Tensor:
        """What a variant still does to a direction, in the dtype of the weights."""
        if variant.renormalize:
            direction_mn = renormalize(direction_mn.to(parameter.dtype))
        if variant.variance_beta is not None:
            variance = self.state[parameter]["variance"]
            direction_mn = even_out(direction_mn.to(parameter.dtype), variance, variant.variance_beta)
        return direction_mn


def shrink(parameter: Tensor, step_mn: Tensor, by: float, *, cautious: bool) -> None:
    """Take a share off the weights, in place; a cautious decay spares those that the step makes larger."""
    if by and cautious:
        parameter.sub_(parameter * (step_mn * parameter >= 0), alpha=by)
    elif by:
        parameter.mul_(1 - by)


def by_shape(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Split tensors into lists of equal shape, in order of first appearance."""
    found: dict[torch.Size, list[Tensor]] = {}
    for tensor in tensors:
        found.setdefault(tensor.shape, []).append(tensor)
    return list(found.values())
