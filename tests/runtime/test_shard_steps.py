"""The optimizer of a model in parts, as one rank can tell: its steps and its state are those of the plain one."""

from __future__ import annotations

import torch

from runtime.finite import first_not_finite
from runtime.optimizer import Entry, Optimizer
from runtime.shard_steps import ShardSteps
from runtime.weight_shards import WeightShards
from tests.rules import rules
from tests.runtime.test_ranks import joined
from tests.runtime.test_weight_shards import gradients, plain_of, shards_of, spec

__all__ = ["joined", "spec"]  # fixtures


def entries_of(model: torch.nn.Module, compiled) -> list[Entry]:
    roles = {p["path"]: p["role"] for p in compiled.blueprint["parameters"]}
    return [Entry(path, roles[path], p) for path, p in model.named_parameters()]  # type: ignore[arg-type]


def made(joined, compiled) -> tuple[WeightShards, ShardSteps, torch.nn.Module, Optimizer]:
    shards, plain = shards_of(compiled, joined), plain_of(compiled)
    steps = ShardSteps(entries_of(shards.model, compiled), rules(8), shards, dtype="float32")
    return shards, steps, plain, Optimizer(entries_of(plain, compiled), rules(8), dtype="float32")


def test_a_step_is_that_of_the_plain_optimizer(joined, spec):
    shards, steps, plain, whole = made(joined, spec)
    assert steps.groups == whole.groups
    for _ in range(3):
        gradients(shards.model, spec, torch.float32)
        gradients(plain, spec, torch.float32)
        assert steps.collect(2.0) == 2.0
        assert all(gradient is not None for _, gradient in steps.gradients())
        steps.step(0.5, 0.9)
        whole.step(0.5, 0.9)
        steps.zero_grad()
        whole.zero_grad()
    for path, tensor in shards.weights().items():
        torch.testing.assert_close(tensor, dict(plain.named_parameters())[path].detach(), msg=path)
    assert list(steps.state()) == list(whole.state())
    for key, tensor in whole.state().items():
        torch.testing.assert_close(steps.state()[key], tensor, msg=key)


def test_a_state_is_taken_up_to_the_bit(joined, spec):
    shards, steps, _, _ = made(joined, spec)
    gradients(shards.model, spec, torch.float32)
    steps.collect(0.0)
    steps.step(1.0, 0.9)
    saved = steps.state()
    again = made(joined, spec)[1]
    again.restore(saved)
    assert all(torch.equal(tensor, saved[key]) for key, tensor in again.state().items())


def test_whole_matrices_are_there_in_a_step_alone(joined, spec):
    shards, steps, _, _ = made(joined, spec)
    gradients(shards.model, spec, torch.float32)
    steps.collect(0.0)
    steps.step(1.0, 0.9)
    assert steps._whole
    assert all(matrix.untyped_storage().nbytes() == 0 for matrix in steps._whole.values())
    assert steps.bytes_of_state == sum(tensor.nbytes for tensor in steps.state().values())


def test_what_has_no_gradient_stays(joined, spec):
    shards, steps, _, _ = made(joined, spec)
    before = shards.weights()
    steps.collect(0.0)
    steps.step(1.0, 0.9)
    assert all(torch.equal(tensor, before[path]) for path, tensor in shards.weights().items())


def test_a_part_of_a_gradient_that_is_not_finite_is_found_before_anything_moves(joined, spec):
    shards, steps, _, _ = made(joined, spec)
    gradients(shards.model, spec, torch.float32)
    steps.collect(0.0)
    assert first_not_finite(steps.gradients()) is None
    path = next(iter(steps._owner))
    part = shards.gradient(path)
    assert part is not None
    part[-1, -1] = torch.nan
    assert first_not_finite(steps.gradients()) == path
