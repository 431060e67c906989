"""What the optimizer says that it keeps and borrows is what it does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from runtime.optimizer import Entry, Optimizer
from runtime.optimizer_memory import moments, workspace
from tests.live_bytes import LiveBytes
from tests.rules import ROLES, rules

SHAPES = [(8, 8), (8, 24), (24, 8), (8, 24), (16, 16), (8, 24)]


@pytest.mark.parametrize("role", ROLES)
def test_moments_are_those_of_the_state(role: str):
    parameter = nn.Parameter(torch.zeros(3, 5))
    state = Optimizer([Entry("a", role, parameter)], rules(8)).state()
    assert sum(tensor.numel() for tensor in state.values() if tensor.ndim) == moments(role) * 15


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("role", ["matrix", "vector"])
def test_the_workspace_is_what_a_step_borrows(role: str, dtype: str):
    parameters = [nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    entries = [Entry(str(n), role, p) for n, p in enumerate(parameters)]
    optimizer = Optimizer(entries, rules(8), dtype=dtype)
    grads = [torch.randn_like(parameter) for parameter in parameters]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad
    with LiveBytes([*parameters, *grads, *optimizer.state().values()]) as live:
        before = live.now
        optimizer.step(1.0, 0.95)
    counted = workspace([(role, shape) for shape in SHAPES], getattr(torch, dtype).itemsize)
    assert counted <= live.peak - before <= counted + 32  # and norms, one number a matrix
