"""How far, how fast, how long yet: from the lines of a log alone."""

import pytest

from stages.watching.progress import progress

BEGIN = {"kind": "begin", "steps": 100, "parameters": 7, "device": "cpu", "gpu": None, "dtype": "float32"}


def step(number: int, at: float, **more) -> dict:
    return {
        "kind": "step",
        "step": number,
        "loss": 5.0 - number / 100,
        "tokens": (number + 1) * 64,
        "flops": (number + 1) * 1000,
        "seconds": (number + 1) * 0.5,
        "at": at,
        **more,
    }


def test_a_log_that_has_only_begun_tells_what_it_is_of():
    found = progress([BEGIN])
    assert (found.steps, found.step, found.parameters, found.dtype) == (100, 0, 7, "float32")
    assert (found.left, found.tokens_per_second, found.flops_per_second) == (None, None, None)
    assert progress([]).steps is None
    assert found.float8 == 0
    assert progress([{**BEGIN, "float8": 0.7}]).float8 == 0.7


def test_speed_and_time_left_are_those_of_recent_steps():
    found = progress([BEGIN, *(step(n, 1000 + n) for n in range(0, 50, 10))])
    assert found.step == 41
    assert found.tokens_per_second == 128
    assert found.flops_per_second == 2000
    assert found.left == 59  # a step takes a second of the wall, in which it trains for half


def test_the_time_that_a_run_was_off_is_not_in_the_time_left():
    events = [step(n, 1000 + n + (86_400 if n >= 30 else 0)) for n in range(0, 60, 10)]
    assert progress([BEGIN, *events]).left == 49


def test_a_clock_that_jumps_back_makes_no_nonsense():
    events = [step(n, 1000 - n) for n in range(0, 30, 10)]
    assert progress([BEGIN, *events]).left == pytest.approx(79 * 0.5)


def test_of_reinforcement_learning_the_reward_is_looked_at():
    found = progress([BEGIN, step(0, 1.0, reward=0.25), step(1, 2.0, reward=0.5)])
    assert (found.shown, found.values) == ("reward", (0.25, 0.5))


def test_what_evaluations_found_is_told_with_its_step():
    checks = [
        {
            "kind": "validation",
            "step": n,
            "tokens": 1,
            "flops": 2,
            "seconds": 3,
            "at": 4,
            "bits_per_byte": 2.0 - n,
        }
        for n in (0, 1)
    ]
    found = progress([BEGIN, *checks])
    assert found.validation == (1, {"bits_per_byte": 1.0})
    assert found.validated == (2.0, 1.0)


def test_a_log_without_times_or_with_a_loss_that_is_no_number_is_read_too():
    found = progress(
        [{"kind": "step", "step": 3, "loss": float("nan")}, {"kind": "step", "step": 4, "loss": 1.0}]
    )
    assert (found.step, found.values, found.left) == (5, (1.0,), None)


def test_a_log_of_before_that_holds_seconds_but_no_wall_time_has_a_time_left():
    events = [{k: v for k, v in step(n, 0).items() if k != "at"} for n in range(0, 30, 10)]
    assert progress([BEGIN, *events]).left == pytest.approx(79 * 0.5)
