"""Every initial law fills a parameter as it says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nanogen.compiler import compile_text
from nanogen.language.initial import DRAWS, FUNCTIONS, VARIABLES
from runtime.initialization import fill
from runtime.model import build, initialize
from runtime.streams import stream


def filled(law: Any, *shape: int) -> Tensor:
    parameter = torch.full(shape, math.nan)
    fill(parameter, law, stream(0, "test"))
    return parameter


LAWS = {
    "zeros": (["zeros"], 0, 0, 0, 0),
    "ones": (["ones"], 1, 0, 1, 1),
    "number": (0.25, 0.25, 0, 0.25, 0.25),
    "normal": (["normal", 0.5], 0, 0.5, -3, 3),
    "trunc": (["trunc", 0.5, 2], 0, 0.5 * 0.8796, -1, 1),
    "uniform": (["uniform", -1, 3], 1, 4 / math.sqrt(12), -1, 3),
    "negative": (["-", ["uniform", 0, 1]], -0.5, 1 / math.sqrt(12), -1, 0),
    "sum": (["+", 2, ["normal", 0.1]], 2, 0.1, 1, 3),
    "times": (["*", 0.5, ["uniform", 0, 2]], 0.5, 1 / math.sqrt(12), 0, 1),
    "over": (["/", ["normal", 1], 4], 0, 0.25, -2, 2),
    "log": (["log", ["uniform", 1, 16]], 1.957, 0.689, 0, math.log(16)),
    "exp": (["exp", ["zeros"]], 1, 0, 1, 1),
    "sqrt": (["sqrt", ["fan_in"]], 8, 0, 8, 8),
    "power": (["**", ["fan_out"], -0.5], 128**-0.5, 0, 0.08, 0.09),
    "drawn scale": (["normal", ["/", 1, ["sqrt", ["fan_in"]]]], 0, 1 / 8, -1, 1),
}


@pytest.mark.parametrize("name", LAWS)
def test_mean_spread_and_bounds(name: str):
    law, mean, spread, low, high = LAWS[name]
    found = filled(law, 128, 64)
    assert found.mean().item() == pytest.approx(mean, abs=4 * spread / math.sqrt(found.numel()) + 1e-6)
    assert found.std().item() == pytest.approx(spread, rel=0.05, abs=1e-6)
    assert low - 1e-6 <= found.min()
    assert found.max() <= high + 1e-6


def test_laws_of_places():
    assert torch.equal(filled(["eye"], 3, 5), torch.eye(3, 5))
    assert torch.equal(filled(["c"], 2, 4), torch.arange(4.0).expand(2, 4))
    assert filled(["*", ["c"], 0.5], 3).tolist() == [0, 0.5, 1]
    assert filled(["+", ["fan_in"], ["fan_out"]], 3, 5).unique().tolist() == [8]
    assert filled(0.2).shape == ()
    ramp = filled(["normal", ["c"]], 4000, 3).std(dim=0)
    assert torch.allclose(ramp, torch.arange(3.0), rtol=0.05)


def test_every_word_of_laws_is_known():
    for name, arguments in DRAWS.items():
        assert torch.isfinite(filled([name, *[0.5, 2][:arguments]], 3, 4)).all()
    for name in VARIABLES:
        assert torch.isfinite(filled([name], 3, 4)).all()
    for name in FUNCTIONS:
        assert torch.isfinite(filled([name, 2], 3, 4)).all()
    with pytest.raises(AssertionError):
        filled(["cauchy", 1], 3, 4)


def test_a_parameter_of_half_precision_is_drawn_in_float32():
    narrow = torch.empty(64, 64, dtype=torch.bfloat16)
    fill(narrow, ["normal", 1], stream(0, "test"))
    assert torch.equal(narrow, filled(["normal", 1], 64, 64).bfloat16())


UNSAID = """
kind = "model"
language = 1
[dims]
vocab = 400
context = 8
[model]
embed = "embedding(tokens, 400, 256)"
wide = "linear(embed, 1024, bias=true)"
narrow = "linear(wide, 64)"
conv = "causal_conv(narrow, 4, bias=true)"
rms = "rms_norm(conv, gain=true)"
off = "rms_norm(rms, gain=true, offset=1)"
norm = "layer_norm(off, gain=true, bias=true)"
said = "parameter(64, init=uniform(2, 3))"
logits = "linear(norm * said, vocab, init=trunc(0.02, 3))"
"""


def test_the_laws_that_a_spec_leaves_unsaid():
    compiled = compile_text(UNSAID)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    found = {name: p.detach() for name, p in model.named_parameters()}
    spread = {
        "embed.weight": 1,
        "wide.weight": 256**-0.5,  # fan_out above fan_in
        "narrow.weight": math.sqrt(64 / 1024) / math.sqrt(1024),
        "conv.weight": 0.5 / math.sqrt(3),
        "said": 1 / math.sqrt(12),
        "logits.weight": 0.02 * 0.9866,
    }
    constants = {"wide.bias": 0, "conv.bias": 0, "rms.gain": 1, "off.gain": 0, "norm.gain": 1, "norm.bias": 0}
    assert set(found) == {*spread, *constants}
    for name, wanted in spread.items():
        assert found[name].std().item() == pytest.approx(wanted, rel=0.15 if name == "said" else 0.05), name
    for name, wanted in constants.items():
        assert (found[name] == wanted).all(), name
    assert found["conv.weight"].abs().max() <= 0.5
    assert found["logits.weight"].abs().max() <= 0.06
    assert 2 <= found["said"].min() <= found["said"].max() <= 3
