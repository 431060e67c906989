"""Every value of a run with where it comes from: the numbers are those that stages compute with."""

import json

import pytest

from nanogen.shelf import find
from runtime.capacity import capacity
from runtime.faults import Fault
from stages.data.stand_in import write_stand_ins
from stages.runfile.load import load_run
from stages.runfile.origins import explained, origins, resolved
from stages.training import recipe

STAGED = 'uses = "pretrain"', 'uses = "pretrain"\nset = { depth = 3 }'


def one(run, key: str):
    [found] = explained(run, key)
    return found


@pytest.fixture
def run(write_run):
    return write_run()


def test_a_value_of_the_file_has_its_line(run, tmp_path):
    found = one(run, "base.steps")
    line = (tmp_path / "small.toml").read_text().split("\n").index('uses = "pretrain"') + 3
    assert (found.value, found.origin, found.where) == (6, "file", f"{tmp_path / 'small.toml'}:{line}")
    assert found.why == "steps to train"


def test_a_default_names_its_kind(run):
    found = one(run, "base.save_minutes")
    assert (found.value, found.origin, found.where) == (10.0, "default", "stages/pretrain.py")
    assert found.why == "of `pretrain` stages; minutes between saves"


def test_dims_are_set_said_or_reckoned(run):
    assert (one(run, "model.width").value, one(run, "model.width").origin) == (64, "set")
    heads = one(run, "model.heads")
    assert (heads.value, heads.origin, heads.why) == (1, "derived", "by `width / 64` with width = 64")
    assert heads.where.endswith("saint_iberis_tiny.toml:14")
    assert one(run, "set.width") == one(run, "model.width")
    assert one(run, "seed").value == 42


def test_dims_of_a_stage_are_its_own(write_run):
    run = write_run(STAGED)
    assert one(run, "model.depth").value == 2
    own = one(run, "base.model.depth")
    assert (own.value, own.origin) == (3, "set")
    assert own.where != one(run, "model.depth").where


def test_rates_are_those_that_training_takes(write_run):
    run = write_run(("steps = 6", 'steps = 6, optimizer = "muon_adamw_2026", rate_scale = 0.5'))
    base = run.stage("base")
    rules = {rule.name: rule for rule in recipe.settle(base.settings, base.compiled).rules}
    found = {one.key.rpartition(".")[2]: one for one in explained(run, "base.lr")}
    assert found.keys() <= rules.keys()
    for group, rate in found.items():
        assert rate.value == rules[group].rate
        assert one(run, f"base.weight_decay.{group}").value == rules[group].decay
    head = found["head"]
    assert head.why.startswith(
        "by `0.008 * more * narrow` with batch_tokens = 64, more = `sqrt(batch_tokens / 2 "
    )
    assert "times `rate_scale` 0.5" in head.why
    assert head.where.startswith("muon_adamw_2026:")
    assert "value" not in found  # the model has no such parameter


def test_a_rate_of_the_run_stands_in_the_run(write_run, tmp_path):
    run = write_run(("steps = 6", 'steps = 6, rates = { head = "0.5 / width" }'))
    head = one(run, "base.rate.head")
    assert (head.value, head.why) == (0.5 / 64, "by `0.5 / width` with width = 64; 1 tensor")
    assert head.where.startswith(f"{tmp_path / 'small.toml'}:")


def test_how_long_a_run_is_when_nothing_says_so(write_run):
    run = write_run(("steps = 6, batch_tokens = 64, rows = 2, ", 'optimizer = "muon_adamw_2026", '))
    base = run.stage("base")
    length = recipe.horizon(base.settings, base.compiled)
    found = {one.key.removeprefix("base."): one for one in explained(run, "base")}
    assert found["steps"].value == length.steps
    assert found["steps"].why.startswith("by `max(1, tokens // batch_tokens)` with batch_tokens = ")
    assert found["batch_tokens"].value == length.batch_tokens
    assert "reference = `110100912 * tokens_per_parameter`" in found["batch_tokens"].why
    assert found["tokens"].value == length.tokens
    assert found["tokens"].why.startswith("12 tokens for each of ")
    assert "`matrix_parameters + head_parameters`" in found["tokens"].why
    assert found["trained_tokens"].value == length.steps * length.batch_tokens
    step = base.kind.micro_batch(base.settings, base.compiled, capacity())  # pyright: ignore[reportAttributeAccessIssue]
    assert (found["rows"].value, found["length"].value) == (step.load.rows, step.load.tokens)
    assert found["accumulation"].value == step.accumulation
    assert {found[name].origin for name in ("steps", "batch_tokens", "tokens", "rows", "length")} == {
        "derived"
    }


def test_what_a_mixture_will_say_is_not_known_yet():
    run = load_run(find("speedrun_h100", "run"))
    steps = one(run, "mid.steps")
    assert (steps.value, steps.origin) == (None, "derived")
    assert "known once that is rendered" in steps.why
    assert one(run, "mid.schedule.rising").value is None
    assert one(run, "mid.lr.matrix").value == 0.02
    assert one(run, "rl.batch_tokens").value == 16 * 16 * 256


def test_laws_of_the_step_are_told_as_laws(run):
    assert one(run, "base.schedule.warmdown").value == 0.2
    rate = one(run, "base.schedule.rate")
    assert (rate.value, rate.why) == ("up * (final + (1 - final) * down)", "computed at each step")


def test_a_rehearsal_says_what_it_has_made_small(tmp_path):
    run = load_run(find("quickstart", "run"), stand_ins=write_stand_ins(tmp_path))
    steps = one(run, "base.steps")
    assert (steps.value, steps.origin) == (6, "rehearsal")
    depth = one(run, "rehearse.depth")
    assert (depth.value, depth.origin) == (2, "rehearse")
    assert one(run, "base.save_minutes").origin == "file"


def test_a_key_that_is_none_is_answered_by_the_nearest(run):
    with pytest.raises(Fault) as fault:
        explained(run, "base.stesp")
    assert fault.value.message == "the run has nothing that is called `base.stesp`"
    assert fault.value.help == "did you mean `base.steps`?"


def test_a_stage_is_all_of_its_settings(run):
    import attrs

    keys = [found.key for found in explained(run, "evaluation")]
    assert keys == [f"evaluation.{f.name}" for f in attrs.fields(type(run.stage("evaluation").settings))]


@pytest.mark.parametrize("name", ["quickstart", "speedrun_nanochat_2026", "miniseries", "looped_s20"])
def test_every_value_of_a_run_that_ships_is_explained_once(name):
    run = load_run(find(name, "run"))
    found = resolved(run)
    assert len(found) == len(origins(run))
    assert all(one["why"] or one["where"] for one in found.values())
    assert json.loads(json.dumps(found)) == found
