"""Source and blueprint to a module with weights, and the past that decoding keeps."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest
import torch

from runtime.decoding.past import allocate_past
from runtime.model import build, build_meta, initialize, load_source

SOURCE = """
import torch
from torch import nn
from runtime.primitives import Embedding, Linear, Now

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = Embedding(5, 4)
        self.head = Linear(4, 5)
        self.scale = nn.Parameter(torch.empty(()))

    def forward(self, tokens, now=None):
        now = now or Now.start(tokens)
        return self.head(self.embed(tokens, now.dtype)) * self.scale.to(now.dtype)
"""


def parameter(path: str, shape: list[int], init: Any, dtype: str | None = None) -> dict[str, Any]:
    return {"path": path, "shape": shape, "init": init, "role": "matrix", "dtype": dtype}


BLUEPRINT: dict[str, Any] = {
    "name": "small",
    "vocab": 5,
    "parameters": [
        parameter("embed.weight", [5, 4], ["normal", 0.5], "bfloat16"),
        parameter("head.weight", [5, 4], ["normal", 0.25]),
        parameter("scale", [], 0.5),
    ],
    "state": {
        "trunk": [{"k": {"axes": [2, 3], "positions": None, "dtype": "run"}}, {}],
        "axes": {"recent": {"axes": [4], "positions": 6, "dtype": "float32"}},
    },
}


def test_meta_models_have_shapes_and_no_memory():
    model = build_meta(SOURCE, "small")
    assert [p.device.type for p in model.parameters()] == ["meta"] * 3
    assert model(torch.zeros(2, 3, dtype=torch.int64, device="meta")).shape == (2, 3, 5)


def test_parameters_are_stored_as_the_blueprint_says():
    model = build(SOURCE, BLUEPRINT)
    assert [p.dtype for p in model.parameters()] == [
        torch.float32,
        torch.bfloat16,
        torch.float32,
    ]  # scale first
    assert dict(model.named_parameters())["embed.weight"].dtype == torch.bfloat16
    initialize(model, BLUEPRINT, seed=1)
    assert model(torch.zeros(1, 2, dtype=torch.int64)).dtype == torch.float32


def test_weights_depend_on_the_seed_and_on_their_own_path():
    def weights(seed: int, blueprint: dict = BLUEPRINT) -> dict[str, torch.Tensor]:
        model = build(SOURCE, blueprint)
        initialize(model, blueprint, seed=seed)
        return {name: p.detach() for name, p in model.named_parameters()}

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])
    assert not torch.equal(one["head.weight"] / 0.25, one["embed.weight"] / 0.5)
    backwards = {**BLUEPRINT, "parameters": BLUEPRINT["parameters"][::-1]}
    assert torch.equal(weights(1, backwards)["head.weight"], one["head.weight"])


def test_a_blueprint_of_another_source_is_refused():
    model = build(SOURCE, BLUEPRINT)
    with pytest.raises(AssertionError):
        initialize(model, {**BLUEPRINT, "parameters": BLUEPRINT["parameters"][1:]}, seed=1)


def test_faults_in_emitted_source_show_its_lines():
    module = load_source("def broken():\n    return 1 / 0  # here\n", 'a "name"\0')
    try:
        module.broken()
    except ZeroDivisionError:
        assert "return 1 / 0  # here" in traceback.format_exc()
    assert sys.modules[module.__name__] is module


def test_two_sources_are_two_modules():
    one, two = load_source("x = 1\n", "same"), load_source("x = 2\n", "same")
    assert (one.x, two.x) == (1, 2)
    assert one.__name__ != two.__name__


@pytest.mark.parametrize("capacity", [2, 50])
def test_the_past_has_the_tree_of_the_blueprint(capacity: int):
    past = allocate_past(BLUEPRINT, rows=3, capacity=capacity, dtype=torch.bfloat16)
    keys, recent = past["trunk"][0]["k"], past["axes"]["recent"]
    assert past["trunk"][1] == {}
    assert (keys.shape, keys.dtype) == ((3, capacity, 2, 3), torch.bfloat16)
    assert (recent.shape, recent.dtype) == ((3, min(capacity, 6), 4), torch.float32)
    assert not keys.any()
    assert not recent.any()
