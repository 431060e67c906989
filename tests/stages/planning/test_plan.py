"""Every run on every hardware, and memories that hold little: each plan fits, or says what would."""

import re
from functools import cache
from pathlib import Path

import pytest
from attrs import evolve

from nanogen.answers.flops import training_per_token
from nanogen.compiler import Compiled, compile_document
from nanogen.shelf import find, shipped
from nanogen.text.diagnostics import Refusal
from runtime.capacity import Capacity
from runtime.faults import Fault
from stages import recipe
from stages.load import Run, load_run
from stages.planning.drawing import drawn, record
from stages.planning.plan import Plan, make_plan
from stages.planning.target import target
from stages.training.fitting import fits, room

RUNS, HARDWARE = shipped("run"), shipped("hardware")
SPEEDRUN = "speedrun_nanochat_2025"
MEMORIES = [6, 12, 24, 80]


@cache
def loaded(name: str) -> Run:
    return load_run(find(name, "run"), looking=False)


@cache
def of_depth(depth: int, folder: Path) -> Run:
    path = folder / f"d{depth}.toml"
    path.write_text(find(SPEEDRUN, "run").read_text().replace("depth = 20", f"depth = {depth}"))
    return load_run(path, looking=False)


def planned(run: Run, on: str | None = None, memory: int | None = None) -> Plan:
    return make_plan(run, target(run, on, memory))


@pytest.mark.parametrize("on", HARDWARE)
@pytest.mark.parametrize("name", RUNS)
def test_every_run_plans_on_every_hardware(name: str, on: str):
    run = loaded(name)
    plan = planned(run, on)
    assert [stage.name for stage in plan.stages] == [stage.name for stage in run.stages]
    assert drawn(plan)
    assert record(plan)["on"] == on
    for stage in plan.trained:
        assert stage.training is not None
        step, settings = stage.training.step, run.stage(stage.name).settings
        if step.accumulation is not None:
            assert stage.training.batch_tokens == step.own_rows * step.devices * step.load.tokens
            horizon = run.stage(stage.name).kind.horizon(settings, stage.model)  # pyright: ignore[reportAttributeAccessIssue]
            assert stage.training.batch_tokens == horizon.batch_tokens  # whatever the hardware
        if not stage.training.fits:
            assert [name for name, _ in plan.warnings].count(stage.name) >= 1
            assert stage.training.changes or plan.target.on.memory < 10**9
    assert plan.hours(at_most=True)


def test_the_schedule_does_not_change_with_the_hardware():
    plans = [planned(loaded(SPEEDRUN), on) for on in HARDWARE]
    for name in ("base", "mid", "sft", "rl"):
        found = [next(s.training for s in plan.stages if s.name == name) for plan in plans]
        assert len({(t.steps, t.batch_tokens, t.step_flops) for t in found if t is not None}) == 1


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("depth", [12, 20])
def test_a_capped_memory_fits_or_is_answered_by_the_largest_that_does(depth, memory, tmp_path_factory):
    run = of_depth(depth, tmp_path_factory.getbasetemp())
    plan = planned(run, "rtx4090", memory * 10**9)
    on = plan.target.on
    assert on.memory == memory * 10**9
    for stage in plan.trained:
        training = stage.training
        assert training is not None
        if training.fits:
            assert training.ledger.total <= room(on)
            assert training.changes == ()
        else:
            assert training.changes, stage.name
            for change in training.changes:
                _check_largest(run, stage.name, change, on)
    assert plan.fits == (not plan.warnings)


def _check_largest(run: Run, name: str, change, on: Capacity) -> None:
    """The setting fits, and the next larger one does not."""
    stage = run.stage(name)
    settings, compiled, kind = stage.settings, stage.compiled, stage.kind
    assert compiled is not None
    if change.setting == "depth":
        answers = {"micro_tokens": settings.tokens} if stage.uses == "rl" else {}
        larger = next(n for n in range(change.value + 1, 99) if _of_depth(compiled, n) is not None)
        for depth, wanted in ((change.value, True), (larger, False)):
            other = _of_depth(compiled, depth)
            assert other is not None
            step = kind.micro_batch(evolve(settings, **answers), other, on)  # pyright: ignore[reportAttributeAccessIssue]
            assert fits(other, step, settings.dtype, on) == wanted
        return
    for value, wanted in ((change.value, True), (2 * change.value, False)):
        step = kind.micro_batch(evolve(settings, **{change.setting: value}), compiled, on)  # pyright: ignore[reportAttributeAccessIssue]
        assert fits(compiled, step, settings.dtype, on) == wanted


def _of_depth(compiled: Compiled, depth: int) -> Compiled | None:
    """The same spec at another depth; None where its width does not split into heads."""
    try:
        return compile_document(compiled.document, {**compiled.spec.overrides, "depth": depth}, compiled.used)
    except Refusal:
        return None


def test_what_fits_a_memory(tmp_path_factory):
    """The d12 pretrains in 6 GB and more, the d20 in 24 GB and more."""
    for depth, least in ((12, 6), (20, 24)):
        run = of_depth(depth, tmp_path_factory.getbasetemp())
        for memory in MEMORIES:
            base = next(
                s.training for s in planned(run, "rtx4090", memory * 10**9).stages if s.name == "base"
            )
            assert base is not None
            assert base.fits == (memory >= least), (depth, memory)


def test_numbers_are_those_of_the_graph_and_of_the_stage():
    run = loaded(SPEEDRUN)
    plan = planned(run, "h100x8")
    base = next(stage for stage in plan.stages if stage.name == "base")
    stage = run.stage("base")
    assert stage.compiled is not None
    assert base.training is not None
    horizon = recipe.horizon(stage.settings, stage.compiled)
    assert (base.training.steps, base.training.batch_tokens) == (horizon.steps, horizon.batch_tokens)
    each = training_per_token(stage.compiled.graph, 2048)
    assert base.training.step_flops == pytest.approx(each * horizon.batch_tokens)
    own = base.efforts[0]
    assert own.flops == pytest.approx(each * horizon.batch_tokens * horizon.steps)
    seconds = own.flops / (8 * 989.4e12 * 0.4)
    assert plan.target.hours(own.flops, "bfloat16", 8) == pytest.approx(seconds / 3600)
    assert plan.target.dollars(2.0) == 48
    assert plan.target.kilowatt_hours(2.0) == pytest.approx(11.2)


def test_the_step_is_that_of_the_stage():
    run = loaded(SPEEDRUN)
    on = target(run, "rtx4090").on
    stage = run.stage("base")
    found = next(s.training for s in planned(run, "rtx4090").stages if s.name == "base")
    assert found is not None
    assert found.step == stage.kind.micro_batch(stage.settings, stage.compiled, on)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_run_names_its_hardware(write_run):
    run = write_run(('kind  = "run"', 'kind  = "run"\nhardware = "rtx3090"'))
    assert planned(run).target.name == "rtx3090"
    assert planned(run, "h200").target.name == "h200"


def test_disk_is_what_stays_and_the_most_beside_it():
    plan = planned(loaded(SPEEDRUN), "h100")
    disks = [stage.disk for stage in plan.stages if stage.disk is not None]
    assert plan.disk.kept == sum(d.kept for d in disks)
    assert plan.disk.passing == max(d.passing for d in disks)


def test_what_is_missing_of_the_data_is_counted():
    data = planned(loaded(SPEEDRUN), "h100x8").data
    assert data.files == data.missing > 200
    assert data.faults == ()


def test_batches_that_do_not_split_over_all_devices_are_told(write_run):
    run = write_run(("context = 16", "context = 32"), ("batch_tokens = 64, rows = 2", "batch_tokens = 96"))
    plan = planned(run, "h100x8")
    told = dict(plan.warnings)
    assert re.search(r"3 of 8 devices share a step of `base`", told["base"])


# -- 8-bit products


def asking(folder: Path, asked: str) -> Run:
    path = folder / f"{asked}.toml"
    text = find(SPEEDRUN, "run").read_text()
    path.write_text(text.replace("with  = { optimizer", f'with  = {{ float8 = "{asked}", optimizer'))
    return load_run(path, looking=False)


def hours(plan: Plan) -> float:
    found = plan.trained[0].hours
    assert found is not None
    return found


def test_products_in_float8_are_reckoned_at_their_own_peak(tmp_path: Path):
    """And at no other memory: that is reckoned in bfloat16, which takes more."""
    plain, narrow = (planned(asking(tmp_path, asked), "h100x8") for asked in ("no", "yes"))
    base, other = plain.trained[0].training, narrow.trained[0].training
    assert base is not None
    assert other is not None
    assert base.step == other.step
    assert base.ledger == other.ledger
    assert 0.6 < other.float8.share < 0.9
    steps = [one.trained[0].efforts[0] for one in (plain, narrow)]
    assert [e.float8 for e in steps] == [0, other.float8.share]
    rest = hours(plain) - plain.target.hours(steps[0].flops, "bfloat16", 8)  # pyright: ignore[reportOperatorIssue]
    wanted = plain.target.hours(steps[0].flops, "bfloat16", 8)
    assert wanted is not None
    twice = 1978.9 / 989.4
    assert hours(narrow) - rest == pytest.approx(wanted * (1 - other.float8.share * (1 - 1 / twice)))
    told = next(stage for stage in record(narrow)["stages"] if stage["stage"] == "base")
    assert told["training"]["float8"]["share"] == other.float8.share


def test_a_plan_does_not_reckon_with_what_a_probe_may_find(tmp_path: Path):
    plain, left = (planned(asking(tmp_path, asked), "h100x8") for asked in ("no", "auto"))
    assert hours(plain) == hours(left)
    assert "a probe on the device decides" in drawn(left)


def test_float8_where_there_is_none_is_one_fault(tmp_path: Path):
    with pytest.raises(Fault, match="`base` is to multiply in float8, and NVIDIA GeForce RTX 3090 does not"):
        planned(asking(tmp_path, "yes"), "rtx3090")
    assert "float8: base: off, there is none" not in drawn(planned(asking(tmp_path, "no"), "rtx3090"))
