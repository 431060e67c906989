"""A stage changes an optimizer by its settings: the published schedules of later stages come out, mistakes are told."""

import pytest

from nanogen.compiler import Compiled, compile_file
from nanogen.shelf import find
from runtime.faults import Fault
from runtime.muon import Variant
from runtime.optimizer import AdamW
from stages.pretrain import Settings
from stages.sft import Settings as Sft
from stages.tasks.mixture import TaskSetting
from stages.training.recipe import Recipe, fixed, horizon, settle

SFT_2025 = {"rate_scale": 0.02, "schedule": {"warmdown": 1, "momentum": 0.95}}
RL_2026 = {
    "optimizer": "muon_adamw_2026",
    "rate_scale": 0.05,
    "decays": {"matrix": 0},
    "schedule": {"rate": "1 - progress", "momentum": 0.95},
}
SFT_2026 = {
    "optimizer": "muon_adamw_2026",
    "rate_scale": 0.8,
    "decays": {"matrix": 0},
    "schedule": {
        "warmup": 0,
        "warmdown": 0.5,
        "final": 0,
        "ramp": "min(300, steps - 1)",
        "peak": 0.95,
        "last": 0.95,
    },
}


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_file(find("saint_iberis_tiny", "model"))


def recipe(compiled: Compiled, steps: int, **changes) -> Recipe:
    return settle(Settings(steps=steps, batch_tokens=2**19, **changes), compiled)


def rates(found: Recipe, steps: int) -> list[float]:
    return [found.schedule.rate(step) for step in range(steps)]


def test_midtraining_of_2025_falls_over_its_last_fifth(compiled):
    found = rates(recipe(compiled, 100), 100)
    assert found == pytest.approx([1 if s / 100 < 0.8 else (1 - s / 100) / 0.2 for s in range(100)])


@pytest.mark.parametrize("steps", [1, 4, 9, 101])
def test_tuning_of_2025_falls_from_start_to_end_at_a_fixed_momentum(compiled, steps):
    found = recipe(compiled, steps, **SFT_2025)
    assert rates(found, steps) == pytest.approx([1 - s / steps for s in range(steps)])
    assert {found.schedule.momentum_at(s) for s in range(steps)} == {0.95}
    assert {r.name: r.rate for r in found.rules}["matrix"] == pytest.approx(0.02 * 0.02)


@pytest.mark.parametrize("steps", [4, 467])
def test_reinforcement_of_2026(compiled, steps):
    found = recipe(compiled, steps, **RL_2026)
    assert rates(found, steps) == pytest.approx([1 - s / steps for s in range(steps)])
    assert found.schedule.momentum_at(steps // 2) == 0.95
    rules = {r.name: r for r in found.rules}
    assert (rules["matrix"].decay, rules["head"].decay, rules["keep"].decay) == (0, 0.01, 0.05)
    assert rules["smear"].rate == pytest.approx(0.2 * 0.05)


def test_tuning_of_2026_stands_for_half_the_run(compiled):
    found = recipe(compiled, 1000, **SFT_2026)
    wanted = [1 if s <= 500 else (1000 - s) / 500 for s in range(1000)]
    assert rates(found, 1000) == pytest.approx(wanted)
    momenta = [found.schedule.momentum_at(s) for s in range(0, 1000, 50)]
    assert momenta == pytest.approx([0.85 + 0.1 * min(1, s / 300) for s in range(0, 1000, 50)])


def test_a_later_stage_keeps_the_transfer_over_batch_sizes(compiled):
    """At nanochat the stages after pretraining lose it: their rates are those of the reference batch."""
    stage = Sft(tasks=(TaskSetting("arithmetic"),), **SFT_2026)
    rules = [
        {r.name: r.rate for r in settle(stage, compiled, fixed(100, batch, compiled)).rules}
        for batch in (2**19, 2**17)
    ]
    assert rules[0]["matrix"] == pytest.approx(0.8 * 0.02)
    for name in ("matrix", "head", "embedding"):
        assert rules[1][name] == pytest.approx(rules[0][name] / 2)
    assert rules[1]["smear"] == rules[0]["smear"]  # the one that no batch changes


def test_rates_of_groups_are_laws_too(compiled):
    found = recipe(compiled, 9, rates={"matrix": "0.01 * narrow", "head": 0.001})
    rules = {r.name: r for r in found.rules}
    width = next(p["shape"][-1] for p in compiled.blueprint["parameters"] if p["role"] == "head")
    assert rules["matrix"].rate == pytest.approx(0.01 * (width / 768) ** -0.5)
    assert rules["head"].rate == 0.001


def test_the_keys_of_the_file_reach_the_runtime(compiled):
    rules = {r.name: r for r in recipe(compiled, 9, optimizer="muon_adamw_2026").rules}
    method = rules["matrix"].method
    assert isinstance(method, Variant)
    assert (method.orthogonalize, method.iterations, method.variance_beta) == ("polar_express", 5, 0.9)
    assert (method.equalize, method.renormalize, method.cautious) == (True, True, True)
    assert (method.scale(4, 1), method.scale(1, 4)) == (2, 1)
    assert rules["embedding"].method == AdamW((0.8, 0.995), 1e-10)
    plain = {r.name: r for r in recipe(compiled, 9).rules}["matrix"].method
    assert plain == Variant(scale=plain.scale)


def test_the_stage_says_what_it_wants_and_the_optimizer_the_rest(compiled):
    count = compiled.blueprint["count"]
    assert horizon(Settings(), compiled).batch_tokens == 2**19
    assert horizon(Settings(), compiled).steps == max(1, 20 * count // 2**19)
    assert horizon(Settings(batch_tokens=4096), compiled).steps == 20 * count // 4096
    assert horizon(Settings(tokens=1_048_576), compiled).steps == 2
    assert horizon(Settings(tokens_per_parameter=1.0, batch_tokens=64), compiled).steps == count // 64
    assert horizon(Settings(steps=7), compiled).steps == 7
    transferred = horizon(Settings(optimizer="muon_adamw_2026", steps=7), compiled)
    assert (
        transferred.batch_tokens
        == horizon(Settings(optimizer="muon_adamw_2026"), compiled).batch_tokens
        < 2**19
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": {"warmdwn": 1}}, "`schedule` has `warmdwn`: `muon_adamw_2025` has no `warmdwn`"),
        ({"schedule": {"rate": "sin(step)"}}, "`schedule` has `rate`: a law has no function `sin`"),
        ({"rates": {"matrix": "step"}}, "`rates` has `matrix`: no law can read `step` here"),
        ({"decays": {"matrix": "0 - 1"}}, "`decays` has `matrix`: this is -1"),
        ({"schedule": {"rate": 1, "warmdown": 0.5}}, "`schedule` has `warmdown`: it changes nothing"),
        (
            {"optimizer": "muon_adamw_2026", "rates": {"value": 0.1}},
            "`rates` has `value`, and the model has no parameter of that group",
        ),
        ({"schedule": {"momentum": 1}}, "`schedule` has `momentum`: `momentum` is at least 0 and below 1"),
    ],
)
def test_a_change_that_means_nothing_is_a_fault_of_its_setting(compiled, changes, message):
    with pytest.raises(Fault) as fault:
        recipe(compiled, 9, **changes)
    assert fault.value.message.startswith(message)
    assert fault.value.help
