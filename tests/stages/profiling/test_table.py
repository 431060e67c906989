"""A table adds up to the step, with kinds in the order of a step, and rates of what the graph counts."""

import attrs
import pytest

from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.planning.hardware import load_hardware
from nanogen.shelf import find
from stages.profiling.events import ELSEWHERE, FORWARD, LAYERS, LOADER, OPTIMIZER, PLACE, Spent
from stages.profiling.places import Line, Places
from stages.profiling.table import Calls, Facts, Sums, make_table

LOAD = Load(2, 64)


def at(path: str) -> str:
    return PLACE + path


SPENT = Spent(
    {
        at("embed"): 1.0,
        at("trunk.0"): 2.0,
        at("trunk.0.mix"): 3.0,
        at("trunk.2.mix"): 4.0,
        at("trunk.1"): 5.0,
        LAYERS: 6.0,
        FORWARD: 7.0,
        at("head"): 8.0,
        OPTIMIZER: 9.0,
        LOADER: 10.0,
        ELSEWHERE: 11.0,
    },
    {at("trunk.0.mix"): 12.0, at("head"): 13.0, ELSEWHERE: 14.0},
)
CALLS = {
    "trunk.0": Calls(2, 2),
    "trunk.0.mix": Calls(2, 2),
    "trunk.1": Calls(2, 0),
    "head": Calls(2, 2, behind=True),
    "embed": Calls(2, 2),
}
SUMS = Sums("eager", 2, plain=50.0, seconds=105.0, spent=SPENT, calls=CALLS, passes=2)


@pytest.fixture
def facts() -> Facts:
    places = Places.of(compile_file(find("saint_iberis_tiny", "model")).graph)
    return Facts(places, LOAD, 2, "cpu", "bfloat16", "", None)


def rows(sums: Sums, facts: Facts) -> dict[Line, tuple[float, float]]:
    return {row.line: (row.forward, row.backward) for row in make_table(sums, facts).rows}


def test_kinds_come_as_a_step_comes_to_them_and_add_up(facts):
    table = make_table(SUMS, facts)
    kinds = [row.line.kind for row in table.rows if not row.line.part]
    assert kinds == [
        "embed",
        "trunk, slc2",
        "trunk, attention",
        "between the layers",
        "head and loss",
        "optimizer",
        "loader",
        "the rest",
    ]
    assert sum(row.share for row in table.rows if not row.line.part) == pytest.approx(1)
    assert table.profiled == 52.5


def test_seconds_are_of_a_step_and_parts_are_those_of_their_kind(facts):
    found = rows(SUMS, facts)
    assert found[Line("trunk, slc2")] == (4.5, 6.0)
    assert found[Line("trunk, slc2", "mix")] == (3.5, 6.0)
    assert found[Line("trunk, slc2", "itself")] == (1.0, 0.0)
    assert Line("trunk, attention", "itself") not in found  # it is all there is


def test_what_runs_behind_the_layers_is_of_the_head(facts):
    assert rows(SUMS, facts)[Line("head and loss")] == (7.5, 6.5)


def test_rates_are_of_the_calls_that_were_made(facts):
    found = {row.line: row for row in make_table(SUMS, facts).rows}
    forward, backward = facts.places.cost("trunk.0", LOAD, 2)
    assert found[Line("trunk, slc2")].flops == (2 * forward.flops + 2 * backward.flops) / 21
    alone, _ = facts.places.cost("trunk.1", LOAD, 2)  # no gradients came back
    assert found[Line("trunk, attention")].flops == 2 * alone.flops / 5
    assert (
        found[Line("head and loss")].flops
        == 2 * sum(cost.flops for cost in facts.places.beside(LOAD, 2)) / 28
    )
    assert all(row.least is None for row in found.values())


def test_a_known_device_has_a_roofline(facts):
    h100 = load_hardware(find("h100x8", "hardware"))
    found = {r.line: r for r in make_table(SUMS, attrs.evolve(facts, named="h100x8", hardware=h100)).rows}
    forward, backward = facts.places.cost("trunk.0", LOAD, 2)
    least = (forward.times(2) + backward.times(2)).seconds(989.4e12, 3.35e12)
    assert found[Line("trunk, slc2")].least == pytest.approx(least / 21)
    assert found[Line("optimizer")].least is None


def test_rows_of_all_lengths_have_no_rates(facts):
    assert all(row.flops is None for row in make_table(SUMS, attrs.evolve(facts, load=None)).rows)


def test_a_device_that_waits_is_told(facts):
    sums = attrs.evolve(SUMS, seconds=125.0)
    assert rows(sums, attrs.evolve(facts, device="cuda"))[Line("the device waits")] == (10.0, 0.0)
    assert Line("the device waits") not in rows(sums, facts)


def test_as_json_it_has_every_row(facts):
    table = make_table(SUMS, facts)
    told = table.plainly()
    assert len(told["rows"]) == len(table.rows)
    assert told["rows"][1]["kind"] == "trunk, slc2"
    assert (told["steps"], told["step_seconds"], told["device"]) == (2, 50.0, "cpu")
