"""A plan as people read it: units, what is only a bound, memory by line, and what is told once."""

import re

import click
import pytest

from nanogen.shelf import find
from stages.load import load_run
from stages.planning.drawing import TERMS, amount, drawn, flops_text, record
from stages.planning.plan import Plan, make_plan
from stages.planning.target import target


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
    assert flops_text(3.66e19) == "3.66e19"


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
    assert "in all, counted" in text
    assert "in all, at most" in text


def test_what_is_left_out_of_several_stages_is_told_once(plan: Plan):
    text = drawn(plan)
    assert text.count("validation on its mixture") == 1
    assert "  mid, sft: validation on its mixture" in text


def test_programs_get_what_people_see(plan: Plan):
    found = record(plan)
    assert found["fits"] is False
    assert [warning["stage"] for warning in found["warnings"]] == ["rl"]
    rl = next(stage for stage in found["stages"] if stage["stage"] == "rl")["training"]
    assert [change["setting"] for change in rl["changes"]] == ["micro_tokens"]
    assert found["dollars"] == {"counted": None, "at_most": None}
    assert found["kilowatt_hours"]["counted"] > 0
