"""A schedule is what it is given; what is not said stands still."""

from runtime.schedule import Schedule, always


def test_what_is_unsaid_stands():
    schedule = Schedule(3)
    assert [(schedule.rate(s), schedule.momentum_at(s), schedule.decay_at(s)) for s in range(3)] == [
        (1.0, 0.95, 1.0)
    ] * 3


def test_functions_are_asked_at_each_step():
    schedule = Schedule(4, rate=lambda step: 1 - step / 4, momentum_at=always(0.5))
    assert [schedule.rate(s) for s in range(4)] == [1, 0.75, 0.5, 0.25]
    assert schedule.momentum_at(3) == 0.5
