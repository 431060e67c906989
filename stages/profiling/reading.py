"""Events of torch's profiler as events of ours: own times of the device where there is one, else of the processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from stages.profiling.events import Event

autograd: Any = torch.autograd  # which has more names than it lists
CPU = autograd.DeviceType.CPU
MICRO = 1e-6  # torch tells microseconds


def read(events: Iterable[Any], *, device: bool) -> list[Event]:
    """The operations of the processor's side, each knowing what it is inside of."""
    mine = [e for e in events if e.device_type == CPU and not e.is_async]
    made = {id(e): _event(e, device=device) for e in mine}
    for one in mine:
        if one.cpu_parent is not None:
            made[id(one)].parent = made.get(id(one.cpu_parent))
    return list(made.values())


def _event(one: Any, *, device: bool) -> Event:
    own = one.self_device_time_total if device else one.self_cpu_time_total
    sequence = one.sequence_nr if one.sequence_nr is not None else -1
    return Event(one.name, one.time_range.start * MICRO, own * MICRO, sequence)
