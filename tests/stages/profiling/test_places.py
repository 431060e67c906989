"""Paths of modules as lines, and what the graph says that a call of a layer costs."""

import pytest

from nanogen.answers.flops import training
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime.model import build_meta
from stages.profiling.places import Cost, Line, Places

SPECS = ["nanochat_2025", "nanochat_2026", "saint_iberis_tiny", "looped"]


def compiled(spec: str):
    return compile_file(find(spec, "model"))


@pytest.mark.parametrize("spec", SPECS)
def test_every_region_is_a_module_of_the_source_and_has_a_kind(spec):
    one = compiled(spec)
    places, regions = Places.of(one.graph), one.blueprint["regions"]
    assert set(places.kinds) == set(regions)
    paths = {name for name, _ in build_meta(one.source, one.blueprint["name"]).named_modules()}
    assert set(regions) <= paths
    for path in paths - {""}:
        region = places.region(path)
        assert places.line(path).kind == (path if region is None else places.kinds[region])


def test_layers_of_a_kind_are_one_line_and_their_parts_others():
    places = Places.of(compiled("saint_iberis_tiny").graph)
    assert places.line("trunk.0") == places.line("trunk.2") == Line("trunk, slc2")
    assert places.line("trunk.1") == Line("trunk, attention")
    assert places.line("trunk.0.mix.conv") == places.line("trunk.3.mix") == Line("trunk, slc2", "mix")
    assert places.line("head") == Line("head")
    assert places.region("trunk.10") is None  # there are four
    assert places.region("trunk.1") == "trunk.1"


@pytest.mark.parametrize("spec", ["nanochat_2025", "saint_iberis_tiny"])
def test_layers_and_what_is_beside_them_add_up_to_the_step(spec):
    graph, load = compiled(spec).graph, Load(2, 64)
    places = Places.of(graph)
    whole = sum(cost.flops for cost in places.beside(load, 2))
    for path in places.kinds:
        forward, backward = places.cost(path, load, 2)
        whole += forward.flops + backward.flops
    assert whole == training(graph, load).matmul


def test_bytes_are_those_of_weights_and_of_what_passes():
    graph = compile_file(
        find("nanochat_2025", "model"), {"depth": 2, "width": 64, "heads": 1, "vocab": 64}
    ).graph
    load = Load(2, 8)
    forward, backward = Places.of(graph).cost("trunk.0", load, 2)
    weights, passes = 12 * 64 * 64, 2 * 8 * 64
    assert forward.bytes == 2 * weights + 2 * 2 * passes
    assert backward.bytes == 2 * weights + 2 * 2 * 2 * passes + 4 * weights
    head = 64 * 64  # the table of tokens is as large, and only looked up in
    assert [cost.bytes for cost in Places.of(graph).beside(load, 2)] == [2 * head, 2 * head + 4 * head]


def test_a_roofline_is_the_slower_of_computing_and_moving():
    assert Cost(100, 10).seconds(peak=10, bandwidth=10) == 10
    assert Cost(10, 100).seconds(peak=10, bandwidth=10) == 10
    assert Cost(1, 2) + Cost(3, 4) == Cost(4, 6)
    assert Cost(1, 2).times(3) == Cost(3, 6)
