"""Make the optimizer of a model from the roles of its parameters: AdamW and Muon under one handle.

Knows nothing of models, layers, files or schedules: entries come in, and each step is told its learning-rate
multiplier and momentum. The defaults are the recipe of 2025. Weights are fp32 masters.

    role                          moved by   rate
    embedding                     AdamW      embedding_lr * (width/768)**-0.5
    head                          AdamW      head_lr      * (width/768)**-0.5
    conv gain bias scalar vector  AdamW      matrix_lr    * (width/768)**-0.5
    matrix                        Muon       matrix_lr    (its step has unit scale at any width)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import field, frozen
from attrs.validators import in_
from torch import Tensor, nn

from runtime.device import DTYPES
from runtime.faults import Fault
from runtime.muon import Muon
from runtime.roles import RATES, REFERENCE_WIDTH, check_role

FUSED_DEVICES = {"cpu", "cuda"}  # where torch has one AdamW kernel for all tensors and this was tried


@frozen
class Entry:
    """One parameter: where it is in the model, and what it is for."""

    path: str  # as in the state dict: "trunk.0.attn.q.weight"
    role: str
    parameter: nn.Parameter


@frozen
class Recipe:
    """Settings of the optimizer; rates and momentum by step are the `Schedule`'s."""

    embedding_lr: float = 0.2
    head_lr: float = 0.004
    matrix_lr: float = 0.02
    betas: tuple[float, float] = (0.8, 0.95)  # AdamW
    eps: float = 1e-10  # AdamW
    weight_decay: float = 0.0  # AdamW
    newton_schulz_steps: int = 5  # Muon
    newton_schulz_dtype: str = field(default="bfloat16", validator=in_(DTYPES))  # Muon


@frozen
class Group:
    """One line of the printed optimizer."""

    name: str  # the role
    tensors: int
    parameters: int  # scalars in all its tensors
    rate: float  # before the schedule's multiplier


class Optimizer:
    """AdamW and Muon over the entries of a model of `width` channels."""

    def __init__(self, entries: Sequence[Entry], *, width: int, recipe: Recipe) -> None:
        check(entries)
        self._paths = {entry.path: entry.parameter for entry in entries}
        groups = [torch_group(role, entries, initial_rate(role, width, recipe)) for role in RATES]
        self._groups = [group for group in groups if group["params"]]
        self._parts = [*adamw(self._groups, recipe), *muon(self._groups, recipe)]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Describe the groups, for printing."""
        return tuple(describe(group) for group in self._groups)

    def step(self, lr_scale: float, momentum: float) -> None:
        """Move every parameter that has a gradient; `lr_scale` multiplies all rates, `momentum` is Muon's."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = group["rate"] * lr_scale
                if isinstance(part, Muon):
                    group["momentum"] = momentum
            part.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Give the state by name and parameter path, `exp_avg/trunk.0.attn.q.weight`: the live tensors.

        Keys and shapes are the same before the first step as after the last. Rates are not in it: they come
        from the recipe, and with the schedule from the step.
        """
        of = {parameter: tensors for part in self._parts for parameter, tensors in part.state.items()}
        return {f"{name}/{path}": t for path, p in self._paths.items() for name, t in of[p].items()}

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Copy a saved state into this optimizer, which then goes on bit for bit; all of it or nothing."""
        mine = self.state()
        if differing := sorted(mine.keys() ^ saved.keys()):
            owner = "saved state" if differing[0] in saved else "model"
            raise Fault(
                f"{len(differing)} optimizer tensors do not pair up: `{differing[0]}` is only in the {owner}",
                "resume with the spec that the checkpoint was made with",
            )
        for key, tensor in mine.items():
            if kind(tensor) != kind(saved[key]):
                raise Fault(
                    f"`{key}` is {kind(tensor)} in the model, {kind(saved[key])} in the saved state",
                    "resume with the spec that the checkpoint was made with",
                )
        for key, tensor in mine.items():
            tensor.copy_(saved[key])


def check(entries: Sequence[Entry]) -> None:
    """Refuse unknown roles; assert what the compiler of the model guarantees."""
    for entry in entries:
        check_role(entry.path, entry.role)
        if entry.parameter.dtype != torch.float32:
            raise Fault(
                f"`{entry.path}` is stored as {str(entry.parameter.dtype).removeprefix('torch.')}",
                "training keeps its masters in float32: leave `dtype=` out of the spec",
            )
        if entry.role == "matrix" and entry.parameter.ndim != 2:
            raise Fault(
                f"`{entry.path}` has the role `matrix` and {entry.parameter.ndim} axes, where Muon moves matrices",
                "give it another role: `role=vector`",
            )
    assert len({entry.path for entry in entries}) == len(entries), "a path stands for one parameter"
    assert len({id(entry.parameter) for entry in entries}) == len(entries), "a parameter moves once a step"


def initial_rate(role: str, width: int, recipe: Recipe) -> float:
    """Give the rate of a role before the schedule, by the table at the top."""
    base = getattr(recipe, RATES[role])
    return base if role == "matrix" else base * (width / REFERENCE_WIDTH) ** -0.5


def torch_group(role: str, entries: Sequence[Entry], rate: float) -> dict[str, Any]:
    """Gather the parameters of a role as torch wants them; `role` and `rate` ride along."""
    members = [entry.parameter for entry in entries if entry.role == role]
    return {"params": members, "lr": rate, "role": role, "rate": rate}


def adamw(groups: list[dict[str, Any]], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Make AdamW over all groups but the matrices; none if there is no such group."""
    mine = [group for group in groups if group["role"] != "matrix"]
    if not mine:
        return []
    parameters = [parameter for group in mine for parameter in group["params"]]
    fused = all(parameter.device.type in FUSED_DEVICES for parameter in parameters)
    settings = {"betas": recipe.betas, "eps": recipe.eps, "weight_decay": recipe.weight_decay}
    made = torch.optim.AdamW(mine, **settings, fused=fused)
    for parameter in parameters:
        made.state[parameter] = fresh_moments(parameter, fused=fused)
    return [made]


def fresh_moments(parameter: nn.Parameter, *, fused: bool) -> dict[str, Tensor]:
    """Allocate AdamW's state as torch itself would at the first gradient.

    Early, so that every checkpoint has the same keys and memory runs out before the first step, not in it.
    """
    return {
        # the fused kernel counts on the device, the others on the host
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device if fused else "cpu"),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }


def muon(groups: list[dict[str, Any]], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Make Muon over the matrices; none if there are none."""
    mine = [group for group in groups if group["role"] == "matrix"]
    dtype = DTYPES[recipe.newton_schulz_dtype]
    return [Muon(mine, steps=recipe.newton_schulz_steps, dtype=dtype)] if mine else []


def describe(group: dict[str, Any]) -> Group:
    """Count a torch group."""
    parameters = sum(parameter.numel() for parameter in group["params"])
    return Group(group["role"], len(group["params"]), parameters, group["rate"])


def kind(tensor: Tensor) -> str:
    """Spell dtype and shape: `float32 (768, 3072)`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
