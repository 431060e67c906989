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
from stages.planning.drawing import drawn, record
from stages.planning.plan import Plan, make_plan
from stages.planning.proposals import Change
from stages.planning.target import target
from stages.runfile.load import Run, load_run
from stages.training import recipe
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
            assert stage.training.changes or plan.of_all
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
            assert training.changes or plan.of_all, stage.name
            for change in training.changes:
                if plan.of_all is None or change.setting != "micro_tokens":
                    _check_largest(run, stage.name, change, on)
    assert plan.fits == (not plan.warnings)
    if not plan.fits:
        changed = rewritten(run, plan, tmp_path_factory.mktemp("changed"))
        assert planned(changed, "rtx4090", memory * 10**9).fits
    if plan.of_all is not None:  # one more is too many
        larger = evolve(plan, of_all=evolve(plan.of_all, value=plan.of_all.value + 2))
        deeper = rewritten(run, larger, tmp_path_factory.mktemp("deeper"))
        assert not planned(deeper, "rtx4090", memory * 10**9).fits


def rewritten(run: Run, plan: Plan, folder: Path) -> Run:
    """The run with what its plan proposes: of each stage the last, with a smaller model of all no shorter rows."""
    chosen = [s.training.changes[-1] for s in plan.trained if s.training and s.training.changes]
    chosen = [c for c in chosen if plan.of_all is None or c.setting != "length"]
    text = run.document.text
    for change in [*chosen, *([plan.of_all] if plan.of_all else [])]:
        above = change.table[:-1]
        if above:
            start = text.index(f"[{'.'.join(above)}]")
            end = text.find("\n[", start) if "\n[" in text[start:] else len(text)
        else:
            text = text if "\n[set]" in text else text.replace("\n[rehearse]", "\n[set]\n\n[rehearse]", 1)
            start, end = text.index("\n[set]") + 1, text.index("\n[", text.index("\n[set]") + 1)
        text = text[:start] + _with_setting(text[start:end], change, inline=bool(above)) + text[end:]
    path = folder / f"{run.name}.toml"
    path.write_text(text)
    return load_run(path, looking=False)


def _with_setting(table: str, change: Change, *, inline: bool) -> str:
    """The text of a table of a run file with one more setting, or another value of it."""
    said = f"{change.setting} = {change.value}"
    known = re.search(rf"\b{change.setting} = [0-9_]+", table)
    if known is not None:
        return table.replace(known[0], said, 1)
    if not inline:
        return f"{table}\n{said}\n"
    found = re.search(rf"^{change.table[-1]}\s*= \{{", table, re.MULTILINE)
    if found is None:
        return f"{table.rstrip()}\n{change.table[-1]} = {{ {said} }}\n"
    return f"{table[: found.end()]} {said},{table[found.end() :]}"


@pytest.mark.parametrize("on", ["rtx4060_laptop", "cpu", "rtx3090"])
@pytest.mark.parametrize("name", RUNS)
def test_what_is_proposed_fits(name: str, on: str, tmp_path: Path):
    """What is proposed, written into the run file, makes the whole run fit."""
    run = loaded(name)
    plan = planned(run, on)
    if plan.fits:
        assert plan.of_all is None
        return
    assert planned(rewritten(run, plan, tmp_path), on).fits


def test_a_spec_whose_layers_are_listed_grows_by_its_width():
    plan = planned(loaded("speedrun_h100"), "rtx4060_laptop")
    assert plan.of_all is not None
    assert plan.of_all.setting == "width"
    assert plan.of_all.value % 64 == 0
    assert plan.of_all.value < 1280


def test_no_stage_of_one_model_is_told_a_size_of_its_own():
    plan = planned(loaded("run1000"), "rtx3090")
    assert plan.of_all is not None
    assert plan.of_all.table == ("set",)
    for stage in plan.trained:
        assert stage.training is not None
        assert all(change.setting != "depth" for change in stage.training.changes)


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


def test_hours_are_near_those_that_are_reported():
    """nanochat's d20 trained in 170 to 176 minutes on eight H100, its whole run in less than four hours; d32 in 31 to 33
    hours. A d20 trained in 65 hours on an RTX 5090."""
    d20, d32 = (planned(loaded(name), "h100x8") for name in (SPEEDRUN, "run1000"))
    base = next(s for s in d20.stages if s.name == "base")
    assert base.hours == pytest.approx(173 / 60, rel=0.1)
    assert d20.hours(at_most=True) == pytest.approx(3.85, rel=0.25)
    assert d20.target.dollars(d20.hours(at_most=True)) == pytest.approx(92, rel=0.25)
    assert d32.hours(at_most=True) == pytest.approx(33, rel=0.25)
    alone = next(s for s in planned(loaded(SPEEDRUN), "rtx5090").stages if s.name == "base")
    assert alone.hours == pytest.approx(3918 / 60, rel=0.1)


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
    seconds = own.flops / (8 * 989.4e12 * 0.43)
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
