"""Numbers of whole runs: published batches, decays, rates and steps come out of the compiler's own counts."""

import math
from functools import lru_cache

import pytest

from nanogen.compiler import Compiled, compile_file
from nanogen.optimizer.settle import Settled, facts, horizon, settle
from nanogen.optimizer.spec import OptimizerSpec, read_optimizer
from nanogen.shelf import find, shipped
from nanogen.text.diagnostics import Stop
from nanogen.text.document import parse_document, read_document


@lru_cache
def compiled(name: str, dim: str = "", size: int = 0) -> Compiled:
    return compile_file(find(name, "model"), {dim: size} if dim else {})


@lru_cache
def optimizer(name: str) -> OptimizerSpec:
    spec, found = read_optimizer(read_document(find(name, "optimizer"))[0])
    assert spec is not None, found
    return spec


def settled(name: str, model: Compiled, **given) -> Settled:
    spec = optimizer(name)
    return settle(spec, model.graph, horizon(spec, facts(model.graph, spec), **given))


def rates(found: Settled) -> dict[str, float]:
    return {group.name: group.rate for group in found.groups}


# -- batch-size transfer


@pytest.mark.parametrize(
    ("depth", "batch", "decay", "steps"),
    [
        (4, 262_144, 1.889903, 528),
        (8, 262_144, 0.519723, 1920),
        (12, 524_288, 0.28, 2520),
        (16, 524_288, 0.13125, 5376),
        (20, 1_048_576, 0.100188, 4980),
        (24, 1_048_576, 0.059738, 8352),
        (26, 1_048_576, 0.047470, 10_510),
        (32, 2_097_152, 0.036750, 9600),
    ],
)
def test_the_batch_and_the_decay_of_2026(depth, batch, decay, steps):
    spec, model = optimizer("muon_adamw_2026"), compiled("nanochat_2026", "depth", depth)
    length = horizon(spec, facts(model.graph, spec))
    assert (length.batch_tokens, length.steps) == (batch, steps)
    matrix = next(g for g in settle(spec, model.graph, length).groups if g.name == "matrix")
    assert matrix.decay == pytest.approx(decay, abs=6e-7)


def test_another_ratio_changes_the_steps_and_not_the_batch():
    spec, model = optimizer("muon_adamw_2026"), compiled("nanochat_2026", "depth", 24)
    length = horizon(spec, facts(model.graph, spec), tokens_per_parameter=8)
    assert (length.batch_tokens, length.steps) == (1_048_576, 5568)


def test_the_rates_of_2026():
    """Of d24, and those of d20 and d12, as published to three or four digits."""
    d24 = rates(settled("muon_adamw_2026", compiled("nanochat_2026", "depth", 24)))
    wanted = {"head": 0.008, "embedding": 0.3, "value": 0.15, "keep": 0.00707, "blend": 0.7071, "smear": 0.2}
    assert d24 == pytest.approx({**wanted, "matrix": 0.02828, "rest": 0.02}, rel=1e-3)
    d20 = rates(settled("muon_adamw_2026", compiled("nanochat_2026", "depth", 20)))
    wanted = {"head": 0.00876, "embedding": 0.3286, "value": 0.1643, "keep": 0.00707, "blend": 0.7071}
    assert {name: d20[name] for name in wanted} == pytest.approx(wanted, rel=1e-3)
    d12 = rates(settled("muon_adamw_2026", compiled("nanochat_2026", "depth", 12)))
    assert (d12["keep"], d12["matrix"], d12["smear"]) == (0.005, 0.02, 0.2)


@pytest.mark.parametrize(
    ("size", "batch", "decay", "steps"),
    [
        (8, 524_288, None, 1765),
        (12, 524_288, 0.2, 3298),
        (16, 524_288, 0.1253, 5265),
        (20, 524_288, 0.0860, 7666),
        (24, 1_048_576, 0.0888, 5251),
    ],
)
def test_the_looped_model_counts_its_turns(size, batch, decay, steps):
    spec, model = optimizer("muon_adamw_looped"), compiled("looped", "size", size)
    length = horizon(spec, facts(model.graph, spec))
    assert (length.batch_tokens, length.steps) == (batch, steps)
    found = {g.name: g for g in settle(spec, model.graph, length).groups}
    assert decay is None or found["matrix"].decay == pytest.approx(decay, abs=5e-5)
    assert found["gain"].rate == pytest.approx(0.005 * (size / 12) ** -0.5), "no batch changes it"
    assert found["matrix"].rate == pytest.approx(0.02 * (batch / 2**19) ** 0.5)
    assert len(found["gain"].paths) == 35


def test_the_horizon_of_2025():
    """Tokens are 20 a parameter, floor-divided by the batch: nanochat d20 makes 21,400 steps."""
    spec, model = optimizer("muon_adamw_2025"), compiled("nanochat_2025")
    assert horizon(spec, facts(model.graph, spec)).steps == 21_400


def test_a_tiny_model_does_not_forget_all_at_once():
    found = settled("muon_adamw_2026", compiled("saint_iberis_tiny"))
    assert next(g for g in found.groups if g.name == "matrix").decay == 2


# -- schedules


def recipe_2025(step: int, steps: int) -> tuple[float, float]:
    """Constant, then linear to 0 over the last fifth; momentum over 300 steps."""
    warmdown = round(0.2 * steps)
    rate = 1.0 if step <= steps - warmdown else (steps - step) / warmdown
    done = min(step / 300, 1)
    return rate, (1 - done) * 0.85 + done * 0.95


def recipe_2026(step: int, steps: int) -> tuple[float, float, float]:
    down = round(0.65 * steps)
    if step < 40:
        rate = (step + 1) / 40
    else:
        rate = 1.0 if step <= steps - down else 0.05 + 0.95 * (steps - step) / down
    fallen = max(0, step - (steps - down)) / down
    momentum = 0.85 + 0.12 * step / 400 if step < 400 else 0.97 - 0.07 * fallen
    return rate, momentum, 0.5 * (1 + math.cos(math.pi * step / steps))


@pytest.mark.parametrize("steps", [400, 777, 1000])
def test_the_schedule_is_that_of_2025_where_the_run_is_long_enough(steps):
    found = settled("muon_adamw_2025", compiled("saint_iberis_tiny"), steps=steps)
    for step in range(steps):
        assert (found.rate(step), found.momentum(step)) == pytest.approx(recipe_2025(step, steps), abs=1e-12)


@pytest.mark.parametrize("steps", [1143, 2520])
def test_the_schedule_is_that_of_2026_where_the_run_is_long_enough(steps):
    found = settled("muon_adamw_2026", compiled("saint_iberis_tiny"), steps=steps)
    for step in range(0, steps, 7):
        mine = (found.rate(step), found.momentum(step), found.decay(step))
        assert mine == pytest.approx(recipe_2026(step, steps), abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 20, 39, 60, 200, 399, 800])
@pytest.mark.parametrize("name", shipped("optimizer"))
def test_a_short_run_reaches_the_full_rate_and_the_end(name, steps):
    """With the tests of the original in their order, 39 steps would never reach the full rate, nor fall again."""
    found = settled(name, compiled("saint_iberis_tiny"), steps=steps)
    values = [found.rate(step) for step in range(steps)]
    assert max(values) == pytest.approx(1)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    final = {"adamw": 0.1, "muon_adamw_2026": 0.05}.get(name, 0.0)
    assert values[-1] <= final + (1 - final) / min(10, steps) + 1e-12


@pytest.mark.parametrize("steps", [2, 5, 39, 200, 399, 800, 1000])
def test_momentum_falls_with_the_rates_however_short_the_run(steps):
    """In the original the ramp of 400 steps wins over the way down: a run of 399 would end on its way up."""
    found = settled("muon_adamw_2026", compiled("saint_iberis_tiny"), steps=steps)
    values = [found.momentum(step) for step in range(steps)]
    falling = min(max(round(0.65 * steps), 10), steps)
    assert max(values) == pytest.approx(0.97)
    assert values.index(max(values)) == steps - falling
    assert values[-1] == pytest.approx(0.97 - 0.07 * (falling - 1) / falling)


@pytest.mark.parametrize("name", ["muon_adamw_2025", "muon_adamw_looped"])
@pytest.mark.parametrize("steps", [2, 39, 299, 301])
def test_momentum_ends_its_ramp(name, steps):
    found = settled(name, compiled("saint_iberis_tiny"), steps=steps)
    assert found.momentum(0) == 0.85
    assert found.momentum(steps - 1) == pytest.approx(0.95)


def test_the_decay_of_the_looped_model_falls_to_nothing():
    found = settled("muon_adamw_looped", compiled("looped"), steps=10)
    assert [found.decay(step) for step in range(10)] == pytest.approx([1 - s / 10 for s in range(10)])


# -- who moves what


@pytest.mark.parametrize("name", shipped("optimizer"))
@pytest.mark.parametrize("model", shipped("model"))
def test_every_optimizer_takes_every_model_that_ships(name, model):
    spec, graph = optimizer(name), compiled(model).graph
    members = settle(spec, graph, horizon(spec, facts(graph, spec), steps=3, batch_tokens=64)).groups
    paths = [path for group in members for path in group.paths]
    assert len(paths) == len(set(paths)) == len(compiled(model).blueprint["parameters"])


def mine(text: str) -> OptimizerSpec:
    spec, found = read_optimizer(
        parse_document("mine.toml", f'kind = "optimizer"\nabout = "a test"\n{text}')[0]
    )
    assert spec is not None, found
    return spec


REST = '[group.rest]\nroles = ["embedding", "head", "matrix", "value", "keep", "blend", "smear"]\nmethod = "adamw"\nrate = 0.1\n'


def test_a_pattern_chooses_before_the_role_does():
    gates = '[group.gates]\nroles = ["matrix"]\npaths = ["*.attn.gate.weight"]\nmethod = "muon"\nrate = 0.2\n'
    spec, graph = mine(gates + REST), compiled("nanochat_2026").graph
    members = {
        g.name: g.paths for g in settle(spec, graph, horizon(spec, facts(graph, spec), steps=2)).groups
    }
    assert len(members["gates"]) == 12
    assert all(path.endswith(".attn.gate.weight") for path in members["gates"])
    assert not set(members["gates"]) & set(members["rest"])


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        (REST.replace('"keep", ', ""), "NG114", ("group",)),
        (REST.replace('"keep"', '"keep", "kepe"'), "NG114", ("group", "rest", "roles", 5)),
        (
            '[group.a]\npaths = ["trunk.*.gat"]\nmethod = "muon"\nrate = 1\n' + REST,
            "NG201",
            ("group", "a", "paths"),
        ),
        (REST.replace("0.1", '"0 - 1"'), "NG306", ("group", "rest", "rate")),
        (REST.replace("0.1", '"1 / (width - width)"'), "NG302", ("group", "rest", "rate")),
        (REST + '[schedule]\nrate = "0.5 - step"\n', "NG306", ("schedule", "rate")),
        (REST + '[schedule]\nmomentum = "step"\n', "NG306", ("schedule", "momentum")),
        (REST + '[schedule]\na = "b"\nb = "a"\nrate = "a"\n', "NG203", ("schedule", "b")),
        (REST + '[batch]\ntokens = "0.5"\n', "NG303", ("batch", "tokens")),
    ],
)
def test_what_cannot_be_settled_is_told_at_its_place(text, code, path):
    spec, graph = mine(text), compiled("nanochat_2026").graph
    with pytest.raises(Stop) as stop:
        settle(spec, graph, horizon(spec, facts(graph, spec), steps=3))
    assert (stop.value.diagnostic.code, stop.value.diagnostic.place.path) == (code, path)
    assert stop.value.diagnostic.help


def test_what_laws_read_of_a_model():
    found = facts(compiled("nanochat_2026").graph, optimizer("muon_adamw_2026"))
    assert (found["width"], found["layers"], found["context"], found["vocab"]) == (1536, 24, 2048, 32768)
    assert found["matrix_parameters"] + found["head_parameters"] == 679_478_976 + 50_331_648
    assert found["effective_parameters"] == found["parameters"] == 1_384_122_122
    assert found["conv_parameters"] == 0
    looped = facts(compiled("looped").graph, optimizer("muon_adamw_looped"))
    assert (looped["layers"], looped["parameters"]) == (8, 328_380_160)
    assert (
        looped["effective_parameters"] == 574_201_600 + 3 * 1280
    )  # and the norm inside the loop, once a turn
