"""8-bit products on torch's CPU kernels: within rounding of exact ones, with the gradients of what was multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from runtime.faults import Fault
from runtime.float8 import (
    STANDARD,
    UNSIGNED_ZERO,
    Float8Linear,
    Switch,
    filled,
    formats,
    lacking,
    scaled,
    to_float8,
)
from runtime.primitives import Linear
from runtime.regions import compile_regions

INPUTS, OUTPUTS = 64, 96
BITS = {  # of the fraction, and the smallest number whose fraction has all of them
    torch.float8_e4m3fn: (3, 2.0**-6),
    torch.float8_e5m2: (2, 2.0**-14),
}
MADE = 2.0**-8  # how far bfloat16, in which results come, is from what it rounds


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def a_map(bias: bool = False, spread: float = 0.1) -> Float8Linear:
    linear = Linear(INPUTS, OUTPUTS, bias=bias)
    with torch.no_grad():
        linear.weight.copy_(spread * drawn(OUTPUTS, INPUTS, seed=1))
        if linear.bias is not None:
            linear.bias.copy_(drawn(OUTPUTS, seed=2))
    model = nn.ModuleDict({"map": linear})
    to_float8(model, ["map"], "cpu")
    found = model["map"]
    assert isinstance(found, Float8Linear)
    return found


def rounded(x: Tensor, kind: torch.dtype) -> Tensor:
    """A tensor as its 8-bit numbers say it."""
    found, scale = scaled(x, kind)
    return found.double() * scale.double()


def passed(found: nn.Module, x: Tensor, up: Tensor, switch: Switch) -> tuple[Tensor, ...]:
    """y, and the gradients of x and of the weights."""
    x = x.detach().requires_grad_()
    weights = [p for name, p in found.named_parameters() if name.endswith("weight")]
    with switch.turned_on():
        y = found(x)
    gradients = torch.autograd.grad(y, [x, *weights], up)
    return y.detach(), *gradients


def spread(found: Tensor, wanted: Tensor) -> float:
    """How far numbers are off, as a share of how large they are: both as the root of the mean square."""
    found, wanted = found.detach().double(), wanted.detach().double()
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())


def close(found: Tensor, wanted: Tensor, *, share: float = 2 * MADE) -> None:
    """To a share of the largest number: sums of numbers of both signs are small where those are not."""
    error = (found.double() - wanted.double()).abs().max() / wanted.abs().max()
    assert float(error) <= share, float(error)


# -- one tensor


@pytest.mark.parametrize("kind", BITS)
@pytest.mark.parametrize("size", [1e-20, 1e-3, 1.0, 1e20])
def test_a_tensor_is_rounded_to_its_format_and_no_further(kind, size):
    x = size * drawn(40, 50)
    found, scale = scaled(x, kind)
    bits, least = BITS[kind]
    back = found.double() * scale.double()
    rounding = torch.maximum(x.double().abs(), least * scale.double()) * 2.0 ** -(bits + 1)
    assert bool(((back - x.double()).abs() <= rounding * (1 + 1e-5)).all())
    assert float(found.float().abs().max()) == torch.finfo(kind).max  # all of the format is used
    assert (scale.dtype, scale.ndim) == (torch.float32, 0)


def test_zeros_stay_zeros():
    found, scale = scaled(torch.zeros(4, 4), torch.float8_e4m3fn)
    assert not found.float().any()
    assert float(scale) > 0


def test_numbers_that_are_not_finite_are_found_out():
    for bad in (torch.nan, torch.inf):
        x = drawn(16, INPUTS)
        x[3, 5] = bad
        found = a_map()
        with found.switch.turned_on():
            assert not torch.isfinite(found(x)).any()


def test_the_largest_number_is_found_without_waiting_for_a_device():
    """On a device of shapes alone a number that Python reads would raise."""
    found, scale = scaled(torch.empty(16, 16, device="meta"), torch.float8_e5m2)
    assert found.device.type == scale.device.type == "meta"


# -- the three products


def test_products_are_those_of_the_rounded_numbers():
    """Against float64, with the same numbers in 8 bits: only the sums and the results' dtype are left to differ."""
    found, x, up = a_map(), drawn(32, INPUTS), drawn(32, OUTPUTS, seed=3)
    x_8, w_8 = rounded(x, STANDARD.values), rounded(found.weight.detach(), STANDARD.values)
    g_8 = rounded(up, STANDARD.gradients)
    wanted = x_8 @ w_8.T, g_8 @ w_8, g_8.T @ x_8
    for made, exact in zip(passed(found, x, up, found.switch), wanted, strict=True):
        close(made, exact, share=1e-5)


def test_products_are_near_the_exact_ones():
    """A sum of N products that are each off by up to a sixteenth, either way, is off by a small part of its spread."""
    found, x, up = a_map(), drawn(512, INPUTS).bfloat16(), drawn(512, OUTPUTS, seed=3).bfloat16()
    weight = found.weight.detach().double()
    wanted = x.double() @ weight.T, up.double() @ weight, up.double().T @ x.double()
    for made, exact in zip(passed(found, x, up, found.switch), wanted, strict=True):
        assert 0.005 < spread(made, exact) < 0.08  # and they are not those of the numbers as they were


def test_gradients_point_where_the_loss_falls():
    """A small step against the gradient lowers a loss by what the gradient says, to a few percent."""
    found, x = a_map(), drawn(64, INPUTS)
    target = drawn(64, OUTPUTS, seed=5)

    def loss() -> Tensor:
        return (found(x) - target).square().mean()

    with found.switch.turned_on():
        loss().backward()
    gradient = found.weight.grad
    assert gradient is not None
    before, step = float(loss().detach()), 1e-3  # in float32, its switch off
    with torch.no_grad():
        found.weight.sub_(step * gradient)
    assert before - float(loss().detach()) == pytest.approx(step * float(gradient.square().sum()), rel=0.05)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 33])
def test_positions_are_filled_up_by_zeros_that_add_nothing(rows):
    found, x, up = a_map(), drawn(rows, INPUTS), drawn(rows, OUTPUTS, seed=3)
    assert filled(x).shape == (-(-rows // 16) * 16, INPUTS)
    made = passed(found, x, up, found.switch)
    more = passed(found, filled(x), filled(up), found.switch)
    assert torch.equal(made[0], more[0][:rows])
    assert torch.equal(made[1], more[1][:rows])
    assert torch.equal(made[2], more[2])


def test_a_map_keeps_shape_dtype_and_bias():
    found, x = a_map(bias=True), drawn(2, 3, 8, INPUTS).bfloat16()
    with found.switch.turned_on():
        y = found(x)
        y.sum().backward()
    assert (y.shape, y.dtype) == ((2, 3, 8, OUTPUTS), torch.bfloat16)
    assert found.weight.grad is not None
    assert found.weight.grad.dtype == torch.float32
    assert found.bias is not None
    assert found.bias.grad is not None
    assert torch.equal(found.bias.grad, torch.full((OUTPUTS,), 48.0))
    close(y.detach(), found(x).detach(), share=0.05)


# -- the switch


def test_a_map_that_is_off_computes_as_any_other():
    found, x = a_map(bias=True), drawn(16, INPUTS).bfloat16()
    plain = Linear(INPUTS, OUTPUTS, bias=True)
    plain.load_state_dict(found.state_dict())
    assert torch.equal(found(x), plain(x))
    with found.switch.turned_on():
        assert not torch.equal(found(x), plain(x))
    assert torch.equal(found(x), plain(x))


def test_a_fault_turns_it_off():
    switch = Switch(STANDARD)
    with pytest.raises(ValueError, match="x"), switch.turned_on():
        raise ValueError("x")
    assert not switch.on


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.gate = Linear(INPUTS, OUTPUTS), Linear(INPUTS, OUTPUTS)
        self.down = Linear(OUTPUTS, INPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)).square() * self.gate(x))


def test_parameters_stay_where_and_what_they_are():
    model = Two()
    before, modules = dict(model.named_parameters()), dict(model.named_modules())
    to_float8(model, ["up", "down"], "cpu")
    assert [type(m) for m in (model.up, model.gate, model.down)] == [Float8Linear, Linear, Float8Linear]
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert all(module is modules[path] for path, module in model.named_modules())


def test_compiled_code_turns_with_the_switch_and_computes_the_same():
    """Code that is fused rounds less often to bfloat16 between products, so a few numbers fall to a neighbour in 8 bits."""
    model = Two()
    with torch.no_grad():
        for n, p in enumerate(model.parameters()):
            p.copy_(0.1 * drawn(*p.shape, seed=n))
    switch = to_float8(model, ["up", "down"], "cpu")
    x, up = drawn(3, 11, INPUTS).bfloat16(), drawn(3, 11, INPUTS, seed=3).bfloat16()
    eager = passed(model, x, up, switch)
    plain = model(x)
    region = nn.ModuleDict({"two": model})
    compile_regions(region, ["two"])
    for _ in range(2):
        for made, wanted in zip(passed(model, x, up, switch), eager, strict=True):
            assert spread(made, wanted) < 0.01
        assert spread(model(x), plain) < 0.003
        assert spread(model(x), eager[0]) > 0.02


# -- devices


def test_what_devices_lack(monkeypatch):
    assert lacking("cpu") == ""
    assert "MPS" in lacking("mps")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    assert lacking("cuda") == "this GPU does not multiply 8-bit floats"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    assert lacking("cuda") == ""


def test_a_device_that_lacks_them_is_refused():
    with pytest.raises(Fault, match="MPS does not multiply 8-bit floats"):
        to_float8(Two(), ["up"], "mps")


@pytest.mark.parametrize(("name", "wanted"), [("gfx942:sramecc+", UNSIGNED_ZERO), ("gfx950", STANDARD)])
def test_amds_first_ones_have_formats_of_their_own(monkeypatch, name, wanted):
    properties: Any = SimpleNamespace(gcnArchName=name)
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: properties)
    assert formats("cuda") == wanted
    found, scale = scaled(drawn(16, 16), wanted.values)
    assert float(found.float().abs().max()) == torch.finfo(wanted.values).max
    close(found.double() * scale.double(), drawn(16, 16), share=0.04)
