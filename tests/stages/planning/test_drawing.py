"""A plan as people read it: units, what is only a bound, memory by line, and what is told once."""

import re

import click
import pytest
from attrs import evolve

from nanogen.shelf import find, shipped
from stages.planning.drawing import TERMS, WIDTH, amount, drawn, flops_text, record, time_text
from stages.planning.plan import Plan, make_plan
from stages.planning.target import target
from stages.runfile.load import load_run
from stages.training.float8 import Planned


@pytest.fixture(scope="module")
def plan() -> Plan:
    run = load_run(find("speedrun_nanochat_2025", "run"), looking=False)
    return make_plan(run, target(run, "rtx4090", 20 * 10**9))


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12"), (1500, "1.5K"), (2.29e6, "2.29M"), (12.1e9, "12.1B"), (3e12, "3T")]
)
def test_amounts_have_three_digits_and_a_letter(number, text):
    assert amount(number) == text


def test_nothing_counted_is_nothing_said():
    assert flops_text(0) == ""
    assert flops_text(3.66e19) == "3.7e19"


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (None, ""),
        (0.2 / 3600, "<1 s"),
        (44 / 3600, "44 s"),
        (35.4 / 60, "35 min"),
        (3.84, "3.8 h"),
        (33.4, "33 h"),
        (153.9, "6.4 days"),
        (24 * 177.2, "177 days"),
    ],
)
def test_times_have_two_figures_and_a_unit(hours: float | None, text: str):
    assert time_text(hours) == text


def test_what_is_small_is_told_as_such_and_once():
    run = load_run(find("quickstart", "run"), looking=False)
    text = drawn(make_plan(run, target(run, "h100x8")))
    assert "<<" not in text
    assert "<$0.01" in text
    assert "<0.01" in text
    assert "e-0" not in text


@pytest.mark.parametrize("name", shipped("run"))
@pytest.mark.parametrize("on", ["h100x8", "slurm_h100", "cpu", "rtx4060_laptop"])
def test_no_line_is_wider_than_a_hundred_columns(name: str, on: str):
    run = load_run(find(name, "run"), looking=False)
    lines = click.unstyle(drawn(make_plan(run, target(run, on)))).split("\n")
    assert max(map(len, lines)) <= WIDTH, max(lines, key=len)


def test_a_network_that_a_step_waits_for_is_told(tmp_path):
    slow = find("h100x8", "hardware").read_text().replace("450e9", "1.25e8")
    (tmp_path / "slow.toml").write_text(slow)
    run = load_run(find("speedrun_nanochat_2025", "run"), looking=False)
    fast, waiting = (make_plan(run, target(run, name)) for name in ("h100x8", str(tmp_path / "slow.toml")))
    assert "the network is what a step waits for" in " ".join(drawn(waiting).split())
    assert "the network is" not in " ".join(drawn(fast).split())
    base, later = (next(s for s in plan.stages if s.name == "base") for plan in (fast, waiting))
    assert base.training is not None
    assert base.training.steps is not None
    assert base.hours is not None
    assert later.hours is not None
    assert later.hours > base.training.steps * base.training.sent / 1.25e8 / 3600 > 10 * base.hours


def test_every_line_of_the_ledger_is_drawn_for_every_step(plan: Plan):
    text = drawn(plan)
    for key, term in TERMS.items():
        if key in ("gathered", "layer"):  # where weights lie in parts: here one device has all
            assert term not in text
            continue
        assert re.search(rf"^  {term} .*(B|B\))$", text, re.MULTILINE), term
    [head] = [line for line in text.split("\n") if "memory of a device" in line]
    assert click.unstyle(head).split() == ["memory", "of", "a", "device", "base,", "mid", "sft", "rl"]
    assert "\x1b" in text  # colours, which are dropped where nobody sees them


def test_what_is_not_there_at_the_peak_stands_in_brackets(plan: Plan):
    ledger = plan.trained[0].training.ledger  # pyright: ignore[reportOptionalMemberAccess]
    workspace = next(line for line in drawn(plan).split("\n") if "workspace" in line)
    assert workspace.count("(") == 3
    counted = ledger.total - ledger.weights - ledger.optimizer
    assert counted == ledger.casts + ledger.activations + ledger.loss + ledger.gradients


def test_bounds_are_marked_and_summed_apart(plan: Plan):
    text = drawn(plan)
    assert re.search(r"^rl +rl +<", text, re.MULTILINE)
    assert not re.search(r"^base .*<", text, re.MULTILINE)
    assert re.search(r"^in all .*iB$", click.unstyle(text), re.MULTILINE)
    assert re.search(r"^at most ", click.unstyle(text), re.MULTILINE)


def test_what_is_left_out_of_several_stages_is_told_once(plan: Plan):
    text = drawn(plan)
    assert text.count("validation on its mixture") == 1
    assert "  mid, sft: validation on its mixture" in text


def test_programs_get_what_people_see(plan: Plan):
    found = record(plan)
    assert found["fits"] is False
    assert [warning["stage"] for warning in found["warnings"]] == ["rl"]
    rl = next(stage for stage in found["stages"] if stage["stage"] == "rl")["training"]
    assert [(change["setting"], change["table"]) for change in rl["changes"]] == [
        ("micro_tokens", "stage.rl.with")
    ]
    assert found["change_of_all"] is None
    assert found["dollars"] == {"counted": None, "at_most": None}
    assert found["kilowatt_hours"]["counted"] > 0


def test_why_float8_is_off_or_on_is_told_once(plan: Plan):
    """Of all four stages nothing was asked; at what utilisation it is reckoned is told where it is on."""
    assert drawn(plan).count('float8: off; `float8 = "auto"` lets a probe on the device decide') == 1
    first = plan.trained[0]
    assert first.training is not None
    on = evolve(first.training, float8=Planned(0.7, "on, as asked: 70% of the matmuls of a step"))
    stages = tuple(evolve(s, training=on) if s is first else s for s in plan.stages)
    text = drawn(evolve(plan, stages=stages))
    assert (
        "float8: base: on, as asked: 70% of the matmuls of a step, at 70 % of 330.3 TFLOP/s as well" in text
    )
    assert "float8: mid, sft, rl: off" in text
