"""Make the optimizer of a model from rules, one for each group of its parameters: AdamW and Muon under one handle.

Knows nothing of models, layers, roles, files or schedules: entries and rules come in, all numbers settled, and each
step is told its learning-rate multiplier, momentum and decay multiplier. Weights are fp32 masters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from runtime.device import DTYPES
from runtime.faults import Fault
from runtime.muon import Muon, Variant

FUSED_DEVICES = {"cpu", "cuda"}  # where torch has one AdamW kernel for all tensors and this was tried


@frozen
class Entry:
    """One parameter: where it is in the model, and the group whose rule moves it."""

    path: str  # as in the state dict: "trunk.0.attn.q.weight"
    group: str
    parameter: nn.Parameter


@frozen
class AdamW:
    """Moments of each number by itself."""

    betas: tuple[float, float] = (0.8, 0.95)
    eps: float = 1e-10


@frozen
class Rule:
    """How a group is moved; rate and decay are those before the schedule."""

    name: str
    rate: float
    method: AdamW | Variant
    decay: float = 0.0


@frozen
class Group:
    """One line of the printed optimizer."""

    name: str
    tensors: int
    parameters: int  # scalars in all its tensors
    rate: float  # before the schedule's multiplier


class Optimizer:
    """AdamW and Muon over the entries of a model, by `rules`; `dtype` is what Muon's iteration is computed in."""

    def __init__(self, entries: Sequence[Entry], rules: Sequence[Rule], *, dtype: str = "bfloat16") -> None:
        check(entries, rules)
        self._paths = {entry.path: entry.parameter for entry in entries}
        groups = [torch_group(rule, entries) for rule in rules]
        self._groups = [group for group in groups if group["params"]]
        self._parts = [*adamw(self._groups), *muon(self._groups, DTYPES[dtype])]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Describe the groups, for printing."""
        return tuple(describe(group) for group in self._groups)

    def step(self, lr_scale: float, momentum: float, decay_scale: float = 1.0) -> None:
        """Move every parameter that has a gradient.

        `lr_scale` multiplies all rates; `momentum` is Muon's, and `decay_scale` multiplies Muon's decay.
        """
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = group["rule"].rate * lr_scale
                if isinstance(part, Muon):
                    group["momentum"] = momentum
                    group["decay"] = group["rule"].decay * decay_scale
            part.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Give the state by name and parameter path, `exp_avg/trunk.0.attn.q.weight`: the live tensors.

        Keys and shapes are the same before the first step as after the last. Rates are not in it: they come
        from the rules, and with the schedule from the step.
        """
        of = {parameter: tensors for part in self._parts for parameter, tensors in part.state.items()}
        return {f"{name}/{path}": t for path, p in self._paths.items() for name, t in of[p].items()}

    def kept(self) -> dict[str, Tensor]:
        """The state that this process keeps, which is all of it."""
        return self.state()

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Copy a saved state into this optimizer, which then goes on bit for bit; all of it or nothing."""
        mine = self.state()
        check_state(mine, saved)
        for key, tensor in mine.items():
            tensor.copy_(saved[key])


def check_state(mine: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    """Refuse a saved state that is not of this optimizer: of other names, dtypes or shapes."""
    if differing := sorted(mine.keys() ^ saved.keys()):
        owner = "saved state" if differing[0] in saved else "model"
        raise Fault(
            f"{len(differing)} optimizer tensors do not pair up: `{differing[0]}` is only in the {owner}",
            "resume with the spec and the optimizer that the checkpoint was made with",
        )
    for key, tensor in mine.items():
        if kind(tensor) != kind(saved[key]):
            raise Fault(
                f"`{key}` is {kind(tensor)} in the model, {kind(saved[key])} in the saved state",
                "resume with the spec that the checkpoint was made with",
            )


def check(entries: Sequence[Entry], rules: Sequence[Rule]) -> None:
    """Refuse weights that are no fp32 masters; assert what comes settled."""
    methods = {rule.name: rule.method for rule in rules}
    for entry in entries:
        assert entry.group in methods, f"`{entry.path}` is in the group `{entry.group}`, which has no rule"
        if entry.parameter.dtype != torch.float32:
            raise Fault(
                f"`{entry.path}` is stored as {str(entry.parameter.dtype).removeprefix('torch.')}",
                "training keeps its masters in float32: leave `dtype=` out of the spec",
            )
        if isinstance(methods[entry.group], Variant) and entry.parameter.ndim != 2:
            raise Fault(
                f"`{entry.path}` has {entry.parameter.ndim} axes, and Muon, which moves the group "
                f"`{entry.group}`, moves matrices",
                "give it another role: `role=vector`",
            )
    assert len(methods) == len(rules), "a name stands for one rule"
    assert len({entry.path for entry in entries}) == len(entries), "a path stands for one parameter"
    assert len({id(entry.parameter) for entry in entries}) == len(entries), "a parameter moves once a step"


def torch_group(rule: Rule, entries: Sequence[Entry]) -> dict[str, Any]:
    """Gather the parameters of a rule as torch wants them; the rule rides along."""
    members = [entry.parameter for entry in entries if entry.group == rule.name]
    group = {"params": members, "lr": rule.rate, "rule": rule}
    if isinstance(rule.method, Variant):
        return {**group, "variant": rule.method, "decay": rule.decay}
    return {**group, "betas": rule.method.betas, "eps": rule.method.eps, "weight_decay": rule.decay}


def adamw(groups: list[dict[str, Any]]) -> list[torch.optim.Optimizer]:
    """Make AdamW over its groups; none if there is no such group."""
    mine = [group for group in groups if isinstance(group["rule"].method, AdamW)]
    if not mine:
        return []
    parameters = [parameter for group in mine for parameter in group["params"]]
    fused = all(parameter.device.type in FUSED_DEVICES for parameter in parameters)
    made = torch.optim.AdamW(mine, fused=fused)
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


def muon(groups: list[dict[str, Any]], dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    """Make Muon over its groups; none if there is no such group."""
    mine = [group for group in groups if isinstance(group["rule"].method, Variant)]
    return [Muon(mine, dtype=dtype)] if mine else []


def describe(group: dict[str, Any]) -> Group:
    """Count a torch group."""
    parameters = sum(parameter.numel() for parameter in group["params"])
    return Group(group["rule"].name, len(group["params"]), parameters, group["rule"].rate)


def kind(tensor: Tensor) -> str:
    """Spell dtype and shape: `float32 (768, 3072)`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
