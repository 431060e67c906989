"""What a model costs, against formulas written by hand: weights that multiply, and pairs of positions.

With P weights in matmuls, W_l the window of layer l and A numbers in all heads of a layer: prefill of n is
2·P·n + Σ 4·A·(w(w+1)/2 + (n - w)·w) with w = min(W_l, n), a step at context n is 2·P + Σ 4·A·min(n, W_l).
"""

from pathlib import Path

import pytest

from nanogen.answers.costs import COUNTS, LABELS, costs
from nanogen.compiler import compile_file, compile_text
from nanogen.graph import Graph

SPECS = Path(__file__).parents[3] / "specs"
WINDOWED = """
kind = "model"
language = 1
[dims]
width = 24
heads = 4
groups = 2
short = 16
depth = 5
vocab = 50
context = 64
[module.attention]
args = { window = "context" }
q = "linear(x, width)"
k = "linear(x, groups * width // heads)"
v = "linear(x, groups * width // heads)"
mix = "attend(split(q, heads), split(k, groups), split(v, groups), window=window)"
y = "linear(flatten(mix), width)"
[stack.trunk]
layers = "depth"
window = "context if i % 4 == 3 or i == depth - 1 else short"
attn = "attention(x, window=window)"
h = "x + attn"
up = "linear(h, 4 * width)"
down = "linear(square(relu(up)), width)"
x = "h + down"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed)"
head = "linear(trunk, vocab)"
logits = "softcap(head, 15)"
"""
WINDOWS = (16, 16, 16, 64, 64)
WEIGHTS = 5 * (24 * 24 * 2 + 24 * 12 * 2 + 2 * 24 * 96) + 24 * 50


@pytest.fixture(scope="module")
def windowed() -> Graph:
    return compile_text(WINDOWED).graph


def prefill(n: int, weights: int = WEIGHTS, width: int = 24, windows: tuple[int, ...] = WINDOWS) -> int:
    def pairs(window: int) -> int:
        w = min(window, n)
        return w * (w + 1) // 2 + (n - w) * w

    return 2 * weights * n + sum(4 * width * pairs(w) for w in windows)


def decode(n: int, weights: int = WEIGHTS, width: int = 24, windows: tuple[int, ...] = WINDOWS) -> int:
    return 2 * weights + sum(4 * width * min(n, w) for w in windows)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("tokens", [1, 7, 16, 17, 40, 64, 100])
def test_a_model_with_windows_by_hand(windowed: Graph, tokens: int, rows: int):
    found = costs(windowed, tokens, rows)
    assert (found.tokens, found.rows) == (tokens, rows)
    assert found.prefill == rows * prefill(tokens)
    assert found.decode == rows * decode(tokens)
    assert found.training == 3 * prefill(tokens) / tokens
    assert found.attention == pytest.approx(3 * (prefill(tokens) - 2 * WEIGHTS * tokens) / tokens)
    # the convention leaves a query's own key out of a window
    assert found.convention == 6 * WEIGHTS + sum(12 * 24 * min(w - 1, tokens) for w in WINDOWS)


@pytest.mark.parametrize("tokens", [5, 15, 16, 63, 64])
def test_the_state_of_windows_by_hand(windowed: Graph, tokens: int):
    """Keys and values of 2 groups of 6 channels; a window of 16 keeps 16 positions, its own among them."""
    kept = sum(min(w, tokens) for w in WINDOWS)
    added = sum(tokens <= w for w in WINDOWS)
    found = costs(windowed, tokens, rows=2)
    assert found.state == 2 * kept * 2 * 12 * 2
    assert found.state_per_token == added * 2 * 12 * 2


def test_nanochat_d20_by_hand():
    graph = compile_file(SPECS / "nanochat_2025.toml").graph
    weights = 12 * 20 * 1280**2 + 65536 * 1280
    found = costs(graph, 2048)
    assert found.prefill == prefill(2048, weights, 1280, (2048,) * 20)
    assert found.decode == decode(2048, weights, 1280, (2048,) * 20)
    assert (found.parameters, found.convention, found.training) == (560_988_160, 3_491_758_080, 3_177_338_880)
    assert found.state_per_token == 20 * 2 * 1280 * 2
    assert found.state == 2048 * found.state_per_token


def test_saint_iberis_d20_by_hand():
    graph = compile_file(SPECS / "saint_iberis_d20.toml").graph
    conv = 13 * 3 * 1280
    weights = 542_035_200 - 65536 * 1280
    found = costs(graph, 2048)
    assert found.prefill == prefill(2048, weights, 1280, (2048,) * 7)
    assert found.decode == decode(2048, weights, 1280, (2048,) * 7)
    assert (found.convention, found.training) == (2_969_095_680, 2_859_048_960)
    assert found.state_per_token == 7 * 2 * 1280 * 2
    assert (
        found.state == 2048 * found.state_per_token + conv // 3 * 2 * 2
    )  # the two tokens before, in bfloat16


def test_wide_state_counts_four_bytes_a_number(small):
    tables = '[module.back]\ny = "shift(float32(x), 3)"\n'
    graph = compile_text(small(tables=tables, model='b = "back(embed)"', last="b")).graph
    assert costs(graph, 10).state == 3 * 8 * 4


def test_what_is_free_has_no_share():
    text = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 4\ncontext = 8\n[model]\nlogits = "embedding(tokens, 4, 4)"\n'
    found = costs(compile_text(text).graph, 8)
    assert (found.training, found.attention_share, found.state) == (0, 0, 0)


def test_every_count_has_a_label():
    assert list(COUNTS) == list(LABELS)
