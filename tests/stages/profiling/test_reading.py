"""Torch's events keep their times, their order of calling and their numbers."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from stages.profiling.events import BACKWARD, PLACE, STEP, spent
from stages.profiling.reading import read


@pytest.fixture(scope="module")
def events():
    weight = torch.randn(64, 64, requires_grad=True)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as trace, record_function(STEP):
        with record_function(f"{PLACE}a"):
            made = weight @ weight
        with record_function(f"{PLACE}b"):
            loss = made.exp().sum()
        loss.backward()
    return read(trace.events(), device=False)


def test_operations_know_what_they_are_inside_of(events):
    matmul = next(event for event in events if event.name == "aten::mm")
    assert [one.name for one in matmul.chain][-2:] == [f"{PLACE}a", STEP]
    assert any(event.name.startswith(BACKWARD) for event in events)


def test_backward_is_found_where_forward_ran(events):
    found = spent(events)
    assert set(found.forward) >= {f"{PLACE}a", f"{PLACE}b"}
    assert found.backward[f"{PLACE}a"] > 0
    assert found.backward[f"{PLACE}b"] > 0


def test_own_times_add_up_to_the_step(events):
    step = next(event for event in events if event.name == STEP)
    inside = [event for event in events if step in event.chain]
    whole = sum(event.own for event in inside)
    assert whole == pytest.approx(spent(events).total, rel=0.05)
