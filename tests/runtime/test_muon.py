"""Check Muon against the formula written out for one matrix, and its iteration against singular values."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from runtime.muon import (
    Muon,
    Variant,
    by_shape,
    equalize_rows,
    even_out,
    orthogonalize,
    renormalize,
    shrink,
)

IN_PLACE = {
    torch.ops.aten.baddbmm_: lambda _, a, b, **more: 2 * a[0] * a[1] * a[2] * b[2]
}  # torch counts none
SHAPES = [(48, 48), (96, 32), (32, 96)]  # square, tall, wide


def matrices(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_step(weight, gradient, buffer, *, lr, momentum):
    """One step of one matrix in float64, by singular values: no matmul iteration is shared with the code."""
    buffer = momentum * buffer + (1 - momentum) * gradient
    ahead = (1 - momentum) * gradient + momentum * buffer
    left, values, right = torch.linalg.svd(ahead, full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    scale = max(1, weight.shape[0] / weight.shape[1]) ** 0.5
    return weight - lr * scale * (left * values) @ right, buffer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_two_steps_are_those_of_the_plain_formula(shape, dtype, close):
    parameter = torch.nn.Parameter(matrices(*shape))
    optimizer = Muon([parameter], lr=0.1, dtype=dtype)
    weight, buffer = parameter.detach().double(), torch.zeros(shape, dtype=torch.float64)
    before = weight
    for seed, momentum in ((1, 0.85), (2, 0.95)):
        parameter.grad = matrices(*shape, seed=seed)
        optimizer.param_groups[0]["momentum"] = momentum
        optimizer.step()
        weight, buffer = plain_step(weight, parameter.grad.double(), buffer, lr=0.1, momentum=momentum)
    assert (parameter - weight).norm() < close * (weight - before).norm()
    torch.testing.assert_close(optimizer.state[parameter]["momentum"], buffer.float())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_come_near_one(shape, dtype):
    result = orthogonalize(matrices(4, *shape), 4, dtype=dtype)
    values = torch.linalg.svdvals(result.float())
    assert result.dtype == dtype
    assert values.median() > 0.68
    assert values.max() < 1.25


def test_a_tall_matrix_costs_no_more_than_a_wide_one():
    costs = []
    for shape in ((1, 64, 16), (1, 16, 64)):
        with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
            orthogonalize(matrices(*shape), 1, steps=1)
        costs.append(counter.get_total_flops())
    assert costs == [2 * (16 * 16 * 64 + 16 * 16 * 16 + 16 * 16 * 64)] * 2


def test_the_smallest_singular_values_of_a_square_grow_most():
    # five steps lift a value by up to 3.4445**5 = 485: below 1/485 of the norm it cannot reach one
    stack = torch.diag(torch.tensor([1.0, 0.1, 0.01, 1e-5])).unsqueeze(0)
    values = orthogonalize(stack, len(stack), dtype=torch.float32)[0].diagonal()
    assert values[:3].min() > 0.6
    assert values[3] == pytest.approx(1e-5 * 3.4445**5, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_stacked_equals_one_by_one(shape, dtype, close):
    stack = matrices(3, *shape)
    stacked = orthogonalize(stack, len(stack), dtype=dtype)
    single = torch.cat([orthogonalize([matrix], 1, dtype=dtype) for matrix in stack])
    assert (stacked - single).norm() <= close * single.norm()


def test_a_neighbour_of_equal_shape_changes_nothing():
    alone, together, neighbour = (torch.nn.Parameter(matrices(8, 8)) for _ in range(3))
    for parameter, seed in ((alone, 1), (together, 1), (neighbour, 2)):
        parameter.grad = matrices(8, 8, seed=seed)
    Muon([alone], dtype=torch.float32).step()
    Muon([neighbour, together], dtype=torch.float32).step()
    torch.testing.assert_close(alone, together)
    assert not torch.equal(neighbour, together)


def test_no_gradient_no_step_and_no_gradient_is_altered():
    moved, still = (torch.nn.Parameter(matrices(8, 8)) for _ in range(2))
    moved.grad = matrices(8, 8, seed=1)
    optimizer = Muon([moved, still])
    optimizer.step()
    assert torch.equal(still, matrices(8, 8))
    assert not optimizer.state[still]["momentum"].any()
    assert not torch.equal(moved, still)
    assert torch.equal(moved.grad, matrices(8, 8, seed=1))


def test_a_zero_gradient_leaves_the_weights():
    parameter = torch.nn.Parameter(matrices(8, 8))
    parameter.grad = torch.zeros(8, 8)
    Muon([parameter]).step()
    assert torch.equal(parameter, matrices(8, 8))


def test_shapes_are_split_in_order_of_appearance():
    a, b, c = torch.empty(2, 3), torch.empty(3, 2), torch.empty(2, 3)
    assert [[id(t) for t in group] for group in by_shape([a, b, c])] == [[id(a), id(c)], [id(b)]]


def test_only_matrices_come_here():
    with pytest.raises(AssertionError, match=r"muon takes matrices, got shape \(4,\)"):
        Muon([torch.nn.Parameter(torch.zeros(4))])


# -- the variants, by what they promise


@pytest.mark.parametrize("shape", SHAPES)
def test_polar_express_comes_nearer_to_one(shape):
    start = matrices(4, *shape)
    plain = torch.linalg.svdvals(orthogonalize(start, 4, dtype=torch.float32))
    polar = torch.linalg.svdvals(orthogonalize(start, 4, dtype=torch.float32, kind="polar_express"))
    assert (polar - 1).abs().mean() < 0.5 * (plain - 1).abs().mean()


def test_rows_are_heard_alike_and_the_norm_stays():
    start = matrices(6, 4) * torch.tensor([1.0, 2, 3, 4, 5, 100])[:, None]
    made = equalize_rows(start)
    torch.testing.assert_close(made.norm(dim=1), (start.norm() / 6**0.5).expand(6))
    torch.testing.assert_close(made.norm(), start.norm())
    assert not equalize_rows(torch.zeros(3, 2)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_renormalized_direction_has_the_norm_of_a_rotation(shape):
    assert float(renormalize(matrices(*shape)).norm()) == pytest.approx(min(shape) ** 0.5, rel=1e-5)
    assert not renormalize(torch.zeros(shape)).any()


@pytest.mark.parametrize(("shape", "axis"), [((6, 4), 1), ((4, 6), 0), ((4, 4), 1)])
def test_neurons_are_evened_out_and_the_norm_stays(shape, axis):
    start = matrices(*shape)
    variance = torch.zeros(start.mean(dim=axis, keepdim=True).shape)
    made = even_out(start, variance, 0.9)
    torch.testing.assert_close(variance, 0.1 * start.square().mean(dim=axis, keepdim=True))
    norms = made.norm(dim=axis)
    torch.testing.assert_close(norms, norms.mean().expand_as(norms))  # the first step is its own mean
    torch.testing.assert_close(made.norm(), start.norm())


def test_a_cautious_decay_spares_what_the_step_makes_larger():
    weight = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    step = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    shrink(weight, step, 0.5, cautious=True)
    assert weight.tolist() == [[0.5, 1.0], [-1.0, -0.5]]
    shrink(weight, step, 0.5, cautious=False)
    assert weight.tolist() == [[0.25, 0.5], [-0.5, -0.25]]


def test_the_scale_is_of_rows_and_columns():
    wide, scaled = (torch.nn.Parameter(torch.zeros(8, 4)) for _ in range(2))
    for parameter, variant in (
        (wide, Variant()),
        (scaled, Variant(scale=lambda rows, columns: rows / columns)),
    ):
        parameter.grad = matrices(8, 4)
        Muon([parameter], variant=variant, dtype=torch.float32).step()
    torch.testing.assert_close(scaled.detach(), wide.detach() * 2**0.5)
