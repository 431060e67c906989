"""What is measured unless told: specs that ship, at sizes that compile, and orders that survive their way as JSON."""

import json

import pytest

from nanogen.commands import bench
from nanogen.compiler import compile_file
from nanogen.shelf import find
from stages.benching import order
from stages.benching.order import PRESETS, Order, Sizes


@pytest.mark.parametrize(
    "model",
    {str(m): m for p in PRESETS.values() for m in p.models}.values(),
    ids=lambda m: f"{m.spec}-{m.overrides['depth']}",
)
def test_every_model_of_every_preset_compiles(model):
    compiled = compile_file(find(model.spec, "model"), model.overrides)
    assert not compiled.warnings
    assert compiled.graph.dims["depth"] == model.overrides["depth"]


def test_saint_iberis_attends_at_every_third_layer_at_any_depth():
    at = {
        m.overrides["depth"]: m.overrides["attends"]
        for m in PRESETS["gpu"].models
        if "attends" in m.overrides
    }
    assert at == {12: [1, 4, 7, 10], 20: [1, 4, 7, 10, 13, 16, 19]}


def test_an_order_is_plain_json():
    one = Order("train", "a.toml", {"attends": [1, 4]}, 8, 256, Sizes(batches=(1, 2)), "adamw")
    assert Order.read(json.loads(json.dumps(one.plain()))) == one
    assert one.step_tokens == 2048


def test_the_command_knows_the_same_words():
    """It lists them itself, so that its help does not load what measures."""
    assert tuple(PRESETS) == bench.PRESETS
    assert bench.KINDS == order.KINDS
