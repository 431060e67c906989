"""Check the schedule at the points its formula names, and that short runs reach their end."""

import pytest

from runtime.faults import Fault
from runtime.schedule import Schedule


def recipe_2025(step: int, steps: int) -> float:
    """Constant, then linear to 0 over the last fifth, as the recipe of 2025 writes it."""
    warmdown = round(0.2 * steps)
    return 1.0 if step <= steps - warmdown else (steps - step) / warmdown


@pytest.mark.parametrize("steps", [50, 77, 1000])
def test_the_default_is_the_recipe_of_2025(steps):
    schedule = Schedule(steps)
    assert [schedule.rate(s) for s in range(steps)] == [recipe_2025(s, steps) for s in range(steps)]


def test_momentum_rises_over_three_hundred_steps():
    schedule = Schedule(1000)
    found = [schedule.momentum_at(s) for s in (0, 150, 300, 999)]
    assert found == pytest.approx([0.85, 0.90, 0.95, 0.95])


def test_warmup_counts_from_one_and_the_end_is_the_final_value():
    schedule = Schedule(100, warmup=0.04, warmdown=0.5, final=0.2)
    assert [schedule.rate(s) for s in (0, 1, 3, 4, 50)] == [0.25, 0.5, 1, 1, 1]
    assert schedule.rate(75) == pytest.approx(0.6)
    assert schedule.rate(99) == pytest.approx(0.2 + 0.8 / 50)


def test_warmdown_of_one_falls_over_the_whole_run():
    schedule = Schedule(40, warmdown=1)
    assert [schedule.rate(s) for s in range(40)] == pytest.approx([1 - s / 40 for s in range(40)])


def test_no_warmdown_stays_up():
    assert {Schedule(7, warmdown=0).rate(s) for s in range(7)} == {1.0}


@pytest.mark.parametrize("steps", [2, 4, 10, 20, 49, 120])
@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_short_runs_reach_their_end(steps, warmup):
    schedule = Schedule(steps, warmup=warmup, final=0.1)
    rates = [schedule.rate(s) for s in range(steps)]
    assert max(rates) == 1.0
    assert rates[-1] <= 0.1 + 0.9 / min(10, steps - round(warmup * steps))
    assert schedule.momentum_at(0) == 0.85
    assert schedule.momentum_at(steps - 1) == pytest.approx(0.95)


def test_a_run_of_one_step_trains():
    assert Schedule(1).rate(0) == 1.0
    assert Schedule(1).momentum_at(0) == 0.95


def test_no_ramp_is_the_final_momentum():
    assert Schedule(10, momentum_ramp=0).momentum_at(0) == 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "the run has 0 steps"),
        ({"steps": 9, "momentum_ramp": -1}, "the momentum ramp is -1 steps"),
        ({"steps": 9, "warmup": 0.6, "warmdown": 0.5}, "warmup 0.6 and warmdown 0.5 do not fit in one run"),
        ({"steps": 9, "warmup": -0.1}, "warmup -0.1 and warmdown 0.2 do not fit in one run"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(Fault) as caught:
        Schedule(**settings)
    assert caught.value.message == message
    assert caught.value.help


def test_a_step_outside_the_run_is_our_mistake():
    with pytest.raises(AssertionError, match="step 5 of a run of 5"):
        Schedule(5).rate(5)
