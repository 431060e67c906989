"""Parameters: paths, order, and counts that were computed by hand or published."""

from pathlib import Path

import pytest

from nanogen.answers.parameters import by_role, count, count_unit, parameters
from nanogen.compiler import compile_file, compile_text
from nanogen.graph import layers_of

SPECS = Path(__file__).parents[3] / "specs"
SMALL = """
kind = "model"
language = 1
[dims]
vocab = 7
context = 8
[module.gate]
w = "linear(x, 3, bias=true)"
y = "causal_conv(w, 2, bias=true)"
[stack.trunk]
layers = 2
kind = { gate = [1], norm = [0] }
g = "kind(x)"
keep = "parameter(init=0)"
x = "keep * x + g"
[module.norm]
y = "layer_norm(x, gain=true, bias=true)"
[model]
table = "parameter(2, 3, init=ones)"
embed = "embedding(tokens, 7, 3)"
trunk = "trunk(rms_norm(embed))"
n = "rms_norm(embed, gain=true, role=scale) + trunk + table[0]"
out = "trunk(n)"
logits = "linear(out, vocab, role=head)"
"""


def test_paths_stand_in_the_order_of_the_file():
    found = {p.path: p.parameter.shape for p in parameters(compile_text(SMALL).graph)}
    layer = {
        "0.g.y.gain": (3,),
        "0.g.y.bias": (3,),
        "0.keep": (),
        "1.g.w.weight": (3, 3),
        "1.g.w.bias": (3,),
        "1.g.y.weight": (3, 1, 2),
        "1.g.y.bias": (3,),
        "1.keep": (),
    }
    wanted = {
        "table": (2, 3),
        "embed.weight": (7, 3),
        **{f"trunk.{path}": shape for path, shape in layer.items()},
        "n.gain": (3,),
        **{f"out.{path}": shape for path, shape in layer.items()},
        "logits.weight": (7, 3),
    }
    assert list(found.items()) == list(wanted.items())


def test_counts_by_hand():
    graph = compile_text(SMALL).graph
    layers = [unit for stack, _, unit in layers_of(graph) if stack == "trunk"][:2]
    assert [count_unit(layer) for layer in layers] == [3 + 3 + 1, 9 + 3 + 6 + 3 + 1]
    assert count(graph) == 6 + 21 + 2 * (7 + 22) + 3 + 21
    assert by_role(graph) == {
        "matrix": 6 + 2 * 9,
        "embedding": 21,
        "gain": 2 * 3,
        "bias": 2 * (3 + 3 + 3),
        "scalar": 2 * 2,
        "conv": 2 * 6,
        "scale": 3,
        "head": 21,
    }


@pytest.mark.parametrize(
    ("name", "overrides", "wanted"),
    [
        ("nanochat_2025", {}, 560_988_160),
        ("nanochat_2025", {"depth": 4}, 36_700_160),
        ("nanochat_2025", {"depth": 12}, 185_597_952),
        ("nanochat_2025", {"depth": 26}, 1_081_999_360),
        ("nanochat_2025", {"depth": 32}, 1_879_048_192),
        ("nanochat_2025", {"depth": 34}, 2_217_082_880),
        ("saint_iberis_d20", {}, 542_035_200),
        ("saint_iberis_d20", {"heads": 20}, 541_136_640),
        ("saint_iberis_jp", {}, 376_240_128),
        ("saint_iberis_jp", {"heads": 8}, 376_813_568),
    ],
)
def test_counts_that_were_published_or_measured(name: str, overrides: dict, wanted: int):
    assert count(compile_file(SPECS / f"{name}.toml", overrides).graph) == wanted


def test_the_parts_of_saint_iberis():
    graph = compile_file(SPECS / "saint_iberis_d20.toml").graph
    counts = [count_unit(unit) for _, _, unit in layers_of(graph)]
    slc2, attention, mlp = 5_095_680, 6_553_600, 13_107_200
    assert counts == [mlp + (attention if layer % 3 == 1 else slc2) for layer in range(20)]
    assert sum(counts) == 374_263_040
