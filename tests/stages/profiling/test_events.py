"""Times of operations go to the place that they ran in, or undo."""

import pytest

from stages.profiling.events import BACKWARD, ELSEWHERE, FORWARD, OPTIMIZER, PLACE, STEP, Event, spent


def inside(parent: Event | None, name: str, own: float, *, start: float = 0.0, sequence: int = -1) -> Event:
    return Event(name, start, own, sequence, parent)


@pytest.fixture
def step() -> Event:
    return inside(None, STEP, 1.0)


def test_the_innermost_scope_has_the_time(step):
    forward = inside(step, FORWARD, 2.0)
    layer = inside(forward, f"{PLACE}trunk.0", 4.0)
    part = inside(layer, f"{PLACE}trunk.0.mix", 8.0)
    matmul = inside(part, "aten::mm", 16.0)
    found = spent([step, forward, layer, part, matmul])
    assert found.forward == {ELSEWHERE: 1, FORWARD: 2, f"{PLACE}trunk.0": 4, f"{PLACE}trunk.0.mix": 24}
    assert found.backward == {}
    assert found.total == 31


def test_what_is_outside_of_steps_is_not_counted():
    assert spent([inside(None, "aten::mm", 5.0), inside(None, OPTIMIZER, 1.0)]).forward == {OPTIMIZER: 1.0}


def test_backward_goes_where_its_forward_ran(step):
    layer = inside(step, f"{PLACE}trunk.1", 0.0, start=1)
    ran = inside(layer, "aten::mm", 1.0, start=2, sequence=7)
    undone = inside(step, f"{BACKWARD}: MmBackward0", 2.0, start=9, sequence=7)
    inner = inside(undone, "aten::mm", 4.0, start=10)
    found = spent([step, layer, ran, undone, inner])
    assert found.backward == {f"{PLACE}trunk.1": 6.0}


def test_a_thread_of_its_own_for_backward_changes_nothing(step):
    """On CUDA the backward pass is in no scope of the step."""
    layer = inside(step, f"{PLACE}trunk.1", 0.0, start=1)
    ran = inside(layer, "aten::mm", 1.0, start=2, sequence=7)
    assert spent([step, layer, ran, inside(None, f"{BACKWARD}: Mm", 2.0, sequence=7)]).backward == {
        f"{PLACE}trunk.1": 2.0
    }


def test_the_last_that_had_a_number_took_it(step):
    """Operations that need no gradient only saw which number comes next."""
    first = inside(step, f"{PLACE}a", 0.0, start=1)
    saw = inside(first, "aten::arange", 1.0, start=2, sequence=3)
    second = inside(step, f"{PLACE}b", 0.0, start=4)
    took = inside(second, "aten::mul", 1.0, start=5, sequence=3)
    undone = inside(step, f"{BACKWARD}: MulBackward0", 2.0, start=9, sequence=3)
    assert spent([undone, took, second, saw, first, step]).backward == {f"{PLACE}b": 2.0}


def test_gradients_that_are_only_added_up_are_nobodys(step):
    assert spent([step, inside(step, f"{BACKWARD}: AccumulateGrad", 3.0)]).backward == {ELSEWHERE: 3.0}
