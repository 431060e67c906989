"""Check that groups reach their optimizer, and that a restored run goes on."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from runtime.faults import Fault
from runtime.muon import Variant, orthogonalize
from runtime.optimizer import DTYPES, Entry, Group, Optimizer, Rule
from tests.rules import ROLES, rules

SHAPES = {
    "embed.weight": ("embedding", (16, 8)),
    "head.weight": ("head", (16, 8)),
    "trunk.0.q.weight": ("matrix", (8, 8)),
    "trunk.0.up.weight": ("matrix", (32, 8)),
    "trunk.1.q.weight": ("matrix", (8, 8)),
    "trunk.0.conv.weight": ("conv", (8, 1, 3)),
    "trunk.0.norm.gain": ("gain", (8,)),
    "trunk.0.q.bias": ("bias", (8,)),
    "trunk.0.mix": ("scalar", ()),
    "trunk.0.skip": ("vector", (8,)),
}


def make_entries(seed: int = 0) -> list[Entry]:
    draw = torch.Generator().manual_seed(seed)
    return [
        Entry(path, role, nn.Parameter(torch.randn(shape, generator=draw)))
        for path, (role, shape) in SHAPES.items()
    ]


def train(entries: list[Entry], optimizer: Optimizer, steps: range) -> None:
    """Take steps on gradients that depend on the step alone."""
    for step in steps:
        draw = torch.Generator().manual_seed(1000 + step)
        optimizer.zero_grad()
        for entry in entries:
            entry.parameter.grad = torch.randn(entry.parameter.shape, generator=draw)
        optimizer.step(1 / (1 + step), 0.85 + 0.01 * step)


def one(role: str, *shape: int) -> list[Entry]:
    return [Entry("layer.weight", role, nn.Parameter(torch.zeros(shape)))]


# --- groups ------------------------------------------------------------------------------------------------


def test_groups_say_what_moves_at_which_rate():
    groups = Optimizer(make_entries(), rules(3072)).groups
    assert groups == (
        Group("embedding", 1, 128, 0.1),  # 0.2 * (3072/768)**-0.5
        Group("head", 1, 128, 0.002),
        Group("matrix", 3, 384, 0.02),
        Group("conv", 1, 24, 0.01),
        Group("gain", 1, 8, 0.01),
        Group("bias", 1, 8, 0.01),
        Group("scalar", 1, 1, 0.01),
        Group("vector", 1, 8, 0.01),
    )


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"matrix"}))
def test_the_first_adamw_step_is_the_rate_against_the_sign(role):
    # bias-corrected, the first step is g / sqrt(g**2) = sign(g)
    entries = one(role, 2)
    optimizer = Optimizer(entries, rules(3072))
    entries[0].parameter.grad = torch.tensor([3.0, -5.0])
    optimizer.step(0.5, 0.9)
    rate = 0.5 * optimizer.groups[0].rate
    torch.testing.assert_close(entries[0].parameter.detach(), torch.tensor([-rate, rate]))


def test_weight_decay_shrinks_all_but_matrices():
    entries = make_entries()
    before = {entry.path: entry.parameter.detach().clone() for entry in entries}
    optimizer = Optimizer(entries, rules(768, decay=0.5))
    for entry in entries:
        entry.parameter.grad = torch.zeros_like(entry.parameter)
    optimizer.step(1.0, 0.9)
    for entry, group_rate in zip(entries, [0.2, 0.004, 0, 0, 0, *[0.02] * 5], strict=True):
        torch.testing.assert_close(entry.parameter.detach(), before[entry.path] * (1 - 0.5 * group_rate))


def test_momentum_and_rate_of_the_step_reach_muon():
    entries = one("matrix", 4, 4)
    optimizer = Optimizer(entries, rules(768))
    entries[0].parameter.grad = torch.eye(4)
    optimizer.step(0.0, 0.75)
    assert not entries[0].parameter.any()
    assert torch.equal(optimizer.state()["momentum/layer.weight"], 0.25 * torch.eye(4))
    optimizer.zero_grad()
    assert entries[0].parameter.grad is None


@pytest.mark.parametrize(("steps", "dtype"), [(1, "float32"), (3, "float32"), (3, "bfloat16")])
def test_the_settings_of_the_iteration_reach_muon(steps, dtype):
    entries = one("matrix", 4, 4)
    rule = Rule("matrix", 1.0, Variant(iterations=steps))
    entries[0].parameter.grad = torch.arange(16.0).view(4, 4)
    Optimizer(entries, [rule], dtype=dtype).step(1.0, 0.0)
    moved = orthogonalize([torch.arange(16.0).view(4, 4)], 1, steps=steps, dtype=DTYPES[dtype])[0]
    assert torch.equal(entries[0].parameter, -moved.float())


def test_what_a_spec_can_get_wrong_is_a_fault():
    half = Entry("layer.weight", "gain", nn.Parameter(torch.zeros(4, dtype=torch.bfloat16)))
    for message, entries in {
        "is stored as bfloat16": [half],
        "has 1 axes, and Muon": one("matrix", 4),
    }.items():
        with pytest.raises(Fault, match=message):
            Optimizer(entries, rules(768))


def test_mistakes_of_ours_are_asserted():
    twice = one("gain", 4)[0]
    faulty = {
        "a path stands for one parameter": [*one("gain", 4), *one("gain", 4)],
        "a parameter moves once": [twice, Entry("tied.weight", "head", twice.parameter)],
    }
    faulty["which has no rule"] = one("matrx", 4)
    for message, entries in faulty.items():
        with pytest.raises(AssertionError, match=message):
            Optimizer(entries, rules(768))


def test_the_schedule_of_the_decay_is_muons():
    """Of AdamW's groups the decay stands, as in the recipe of 2026."""
    entries = [*one("matrix", 2, 2), Entry("gain", "gain", nn.Parameter(torch.ones(2)))]
    with torch.no_grad():
        entries[0].parameter.fill_(1.0)
    made = [
        Rule("matrix", 0.5, Variant(), decay=0.4),
        *(r for r in rules(768, decay=0.5) if r.name == "gain"),
    ]
    optimizer = Optimizer(entries, made)
    for entry in entries:
        entry.parameter.grad = torch.zeros_like(entry.parameter)
    optimizer.step(1.0, 0.9, 0.25)
    torch.testing.assert_close(entries[0].parameter.detach(), torch.full((2, 2), 1 - 0.5 * 0.4 * 0.25))
    torch.testing.assert_close(entries[1].parameter.detach(), torch.full((2,), 1 - 0.02 * 0.5))


def test_the_state_of_normuon_is_saved_and_restored(tmp_path):
    variant = Variant("polar_express", equalize=True, renormalize=True, variance_beta=0.9, cautious=True)
    made = [r for r in rules(64) if r.name != "matrix"] + [Rule("matrix", 0.02, variant, decay=0.1)]
    entries = make_entries()
    optimizer = Optimizer(entries, made)
    assert {k: tuple(t.shape) for k, t in optimizer.state().items() if k.startswith("variance/")} == {
        "variance/trunk.0.q.weight": (8, 1),
        "variance/trunk.0.up.weight": (32, 1),
        "variance/trunk.1.q.weight": (8, 1),
    }
    train(entries, optimizer, range(3))
    save_file(optimizer.state(), tmp_path / "state.safetensors")
    copies = [Entry(e.path, e.group, nn.Parameter(e.parameter.detach().clone())) for e in reversed(entries)]
    resumed = Optimizer(copies, made)
    resumed.restore(load_file(tmp_path / "state.safetensors"))
    train(entries, optimizer, range(3, 6))
    train(copies[::-1], resumed, range(3, 6))
    for entry, copy in zip(entries, copies[::-1], strict=True):
        assert torch.equal(entry.parameter, copy.parameter), entry.path


# --- state ------------------------------------------------------------------------------------------------


def test_a_restored_run_goes_on_bit_for_bit(tmp_path):
    entries = make_entries()
    optimizer = Optimizer(entries, rules(64))
    train(entries, optimizer, range(3))
    save_file(optimizer.state(), tmp_path / "state.safetensors")
    copies = [Entry(e.path, e.group, nn.Parameter(e.parameter.detach().clone())) for e in reversed(entries)]
    resumed = Optimizer(copies, rules(64))
    resumed.restore(load_file(tmp_path / "state.safetensors"))
    train(entries, optimizer, range(3, 6))
    train(copies[::-1], resumed, range(3, 6))
    for entry, copy in zip(entries, copies[::-1], strict=True):
        assert torch.equal(entry.parameter, copy.parameter), entry.path
    for key, tensor in resumed.state().items():
        assert torch.equal(tensor, optimizer.state()[key]), key


def test_the_state_is_whole_from_the_start_and_lies_by_path():
    entries = make_entries()
    optimizer = Optimizer(entries, rules(64))
    fresh = {key: tensor.shape for key, tensor in optimizer.state().items()}
    wanted = {
        f"{name}/{entry.path}"
        for entry in entries
        for name in (["momentum"] if entry.group == "matrix" else ["step", "exp_avg", "exp_avg_sq"])
    }
    assert set(fresh) == wanted
    train(entries, optimizer, range(2))
    assert {key: tensor.shape for key, tensor in optimizer.state().items()} == fresh
    assert optimizer.state()["step/embed.weight"] == 2


def test_early_state_is_that_of_torch_itself():
    parameter, other = (nn.Parameter(torch.zeros(8)) for _ in range(2))
    optimizer = Optimizer([Entry("gain", "gain", parameter)], rules(768))
    torchs = torch.optim.AdamW([other], fused=True)
    parameter.grad = other.grad = torch.ones(8)
    optimizer.step(1.0, 0.9)
    torchs.step()
    ours = {key.removesuffix("/gain"): (t.dtype, t.shape, t.device) for key, t in optimizer.state().items()}
    assert ours == {key: (t.dtype, t.shape, t.device) for key, t in torchs.state[other].items()}


def test_a_state_of_another_model_is_refused_whole():
    optimizer = Optimizer(one("gain", 4), rules(768))
    good = {key: torch.ones_like(tensor) for key, tensor in optimizer.state().items()}
    other = {
        "`exp_avg/layer.weight` is only in the model": {
            key: t for key, t in good.items() if not key.startswith("exp_avg/")
        },
        "`exp_avg/other` is only in the saved state": good | {"exp_avg/other": torch.zeros(4)},
        "is float32 (4,) in the model, float32 (5,) in the saved": good
        | {"exp_avg/layer.weight": torch.zeros(5)},
        "float32 (4,) in the model, bfloat16 (4,)": good
        | {"exp_avg_sq/layer.weight": torch.ones(4).bfloat16()},
    }
    for message, saved in other.items():
        with pytest.raises(Fault) as caught:
            optimizer.restore(saved)
        assert message in caught.value.message
        assert not any(tensor.any() for tensor in optimizer.state().values())
