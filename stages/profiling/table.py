"""Times by place as a table by layer kind, forward and backward apart, with the distance to the roofline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, frozen

from nanogen.load import Load
from nanogen.planning.hardware import Hardware
from stages.profiling.events import ELSEWHERE, FORWARD, LAYERS, LOADER, OPTIMIZER, PLACE, Spent
from stages.profiling.places import Cost, Line, Places

HEAD = Line("head and loss")
NAMED = {
    LAYERS: Line("between the layers"),
    FORWARD: HEAD,
    OPTIMIZER: Line("optimizer"),
    LOADER: Line("loader"),
    ELSEWHERE: Line("the rest"),
}
LAST = (NAMED[LAYERS], HEAD, NAMED[OPTIMIZER], NAMED[LOADER], NAMED[ELSEWHERE])
WAITING = Line("the device waits")


@define
class Calls:
    """How often a module ran, how often so that gradients come back, and whether behind the layers."""

    forward: int = 0
    backward: int = 0
    behind: bool = False


@frozen
class Facts:
    """What times are held against. Without a `load` rows have all lengths, and no costs are told."""

    places: Places
    load: Load | None  # of a micro-batch
    width: int  # bytes of a value
    device: str
    dtype: str
    named: str  # of the hardware file
    hardware: Hardware | None

    @property
    def peak(self) -> float | None:
        if self.hardware is None:
            return None
        return self.hardware.peak.bfloat16 if self.dtype == "bfloat16" else self.hardware.peak.float32


@frozen
class Sums:
    """What some steps gave, all together."""

    way: str  # "eager" or "compiled"
    steps: int
    plain: float  # seconds of a step as it is
    seconds: float  # of all steps under the profiler
    spent: Spent
    calls: Mapping[str, Calls]
    passes: int  # forward passes of the model


@frozen
class Row:
    """Seconds a step, and what was computed in them. `least`: the share that the roofline would take of them."""

    line: Line
    forward: float
    backward: float
    share: float  # of the step
    flops: float | None = None  # a second
    least: float | None = None

    @property
    def seconds(self) -> float:
        return self.forward + self.backward


@frozen
class Table:
    """One way of computing: kinds, each followed by its parts."""

    way: str
    device: str
    dtype: str
    hardware: str
    steps: int
    plain: float
    profiled: float
    rows: tuple[Row, ...]

    def plainly(self) -> dict[str, Any]:
        """As JSON."""
        rows = [
            {
                "kind": row.line.kind,
                "part": row.line.part,
                "forward_seconds": row.forward,
                "backward_seconds": row.backward,
                "share": row.share,
                "flops_per_second": row.flops,
                "roofline_share": row.least,
            }
            for row in self.rows
        ]
        facts = {name: getattr(self, name) for name in ("way", "device", "dtype", "hardware", "steps")}
        return {**facts, "step_seconds": self.plain, "profiled_step_seconds": self.profiled, "rows": rows}


def make_table(sums: Sums, facts: Facts) -> Table:
    """Rows in the order in which a step comes to them; parts only where a kind has more than one."""
    times = _by_line(sums, facts.places)
    kinds = dict.fromkeys(line.kind for line in times)
    first = [k for k in kinds if k not in {line.kind for line in LAST}]
    last = [line.kind for line in LAST if line.kind in kinds]
    costs, rows = _costs(sums, facts), list[Row]()
    for kind in (*first, *last):
        inside = {line: found for line, found in times.items() if line.kind == kind}
        rows.append(_row(Line(kind), inside.values(), sums, facts, costs.get(kind)))
        if len(inside) > 1:
            by_time = sorted(inside.items(), key=lambda item: -sum(item[1]))
            parts = [(Line(kind, line.part or "itself"), found) for line, found in by_time]
            rows.extend(_row(line, [found], sums, facts, None) for line, found in parts)
    if facts.device == "cuda":
        waits = max(0.0, sums.seconds - sums.spent.total)
        rows.append(_row(WAITING, [(waits, 0.0)], sums, facts, None))
    return Table(
        sums.way,
        facts.device,
        facts.dtype,
        facts.named,
        sums.steps,
        sums.plain,
        sums.seconds / sums.steps,
        tuple(rows),
    )


def _by_line(sums: Sums, places: Places) -> dict[Line, tuple[float, float]]:
    found = dict[Line, tuple[float, float]]()
    both = dict.fromkeys((*sums.spent.forward, *sums.spent.backward))
    for place in both:
        line = _line(place, sums, places)
        before = found.get(line, (0.0, 0.0))
        more = sums.spent.forward.get(place, 0.0), sums.spent.backward.get(place, 0.0)
        found[line] = before[0] + more[0], before[1] + more[1]
    return found


def _line(place: str, sums: Sums, places: Places) -> Line:
    if place in NAMED:
        return NAMED[place]
    path = place.removeprefix(PLACE)
    calls = sums.calls.get(path)
    return HEAD if calls is not None and calls.behind else places.line(path)


def _costs(sums: Sums, facts: Facts) -> dict[str, Cost]:
    """What each kind of layer computed in all steps, by the graph; and the head."""
    found = dict[str, Cost]()
    if facts.load is None:
        return found
    for path, calls in sums.calls.items():
        if path not in facts.places.kinds:
            continue
        forward, backward = facts.places.cost(path, facts.load, facts.width)
        kind = facts.places.kinds[path]
        done = forward.times(calls.forward) + backward.times(calls.backward)
        found[kind] = found.get(kind, Cost()) + done
    forward, backward = facts.places.beside(facts.load, facts.width)
    found[HEAD.kind] = (forward + backward).times(sums.passes)
    return found


def _row(
    line: Line,
    times: Iterable[tuple[float, float]],
    sums: Sums,
    facts: Facts,
    cost: Cost | None,
) -> Row:
    forward, backward = (sum(column) for column in zip(*times, strict=True))
    spent, share = forward + backward, (forward + backward) / sums.seconds
    flops = cost.flops / spent if cost is not None and spent and cost.flops else None
    least = None
    if flops is not None and cost is not None and facts.hardware is not None and facts.peak is not None:
        least = cost.seconds(facts.peak, facts.hardware.bandwidth) / spent
    return Row(line, forward / sums.steps, backward / sums.steps, share, flops, least)
