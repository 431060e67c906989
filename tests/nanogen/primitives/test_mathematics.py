"""Each primitive's formula, written once more in plain loops and double precision, against the runtime's."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

import runtime.primitives as library
from runtime.primitives import Now

DRAW = torch.Generator().manual_seed(0)
START = Now.start(torch.zeros(2, 9, dtype=torch.int64))


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=DRAW)


def near(found: Tensor, wanted: Tensor, tolerance: float = 2e-6) -> None:
    assert found.shape == wanted.shape
    assert (found.double() - wanted.double()).abs().max() <= tolerance * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
@pytest.mark.parametrize(("channels", "turned"), [(8, 8), (8, 4), (10, 6)])
def test_rope_turns_each_pair_in_the_complex_plane(pairs: str, direction: int, channels: int, turned: int):
    x = drawn(2, 9, 3, channels)
    table = library.rope_table(START.positions, turned, base=100.0, direction=direction, dtype=torch.float32)
    wanted = x.clone().double()
    for position in range(9):
        for pair in range(turned // 2):
            a, b = (pair, pair + turned // 2) if pairs == "halves" else (2 * pair, 2 * pair + 1)
            turn = cmath.exp(1j * direction * position * 100.0 ** (-2 * pair / turned))
            for row in range(2):
                for head in range(3):
                    point = complex(x[row, position, head, a], x[row, position, head, b]) * turn
                    wanted[row, position, head, a], wanted[row, position, head, b] = point.real, point.imag
    near(library.rope(x, table, pairs), wanted)


def test_rope_reads_positions_where_they_are_given():
    x = drawn(2, 3, 8)
    late = library.rope_table(
        torch.tensor([[4, 5, 6], [0, 1, 2]]), 8, base=100.0, direction=1, dtype=torch.float32
    )
    early = library.rope_table(torch.arange(9)[None], 8, base=100.0, direction=1, dtype=torch.float32)
    padded = torch.cat((drawn(1, 4, 8), x[:1], drawn(1, 2, 8)), dim=1)
    near(library.rope(x, late)[:1], library.rope(padded, early)[:, 4:7])


def test_rope_keeps_scores_a_matter_of_distance():
    q, k = drawn(1, 1, 8), drawn(1, 1, 8)
    scores = []
    for start in (0, 5, 50):
        at = [
            library.rope_table(torch.tensor([[p]]), 8, base=100.0, direction=1, dtype=torch.float32)
            for p in (start + 3, start)
        ]
        scores.append(float((library.rope(q, at[0]) * library.rope(k, at[1])).sum()))
    assert scores == pytest.approx([scores[0]] * 3, abs=1e-5)


@pytest.mark.parametrize("window", [None, 1, 3, 9, 20])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attend_is_softmax_over_the_keys_seen(window: int | None, groups: int, scale: float | None):
    q, k, v = drawn(2, 9, 4, 6), drawn(2, 9, groups, 6), drawn(2, 9, groups, 5)
    wanted = torch.zeros(2, 9, 4, 5, dtype=torch.double)
    for row in range(2):
        for query in range(9):
            for head in range(4):
                group = head // (4 // groups)
                first = 0 if window is None else max(0, query - window + 1)
                scores = [
                    float(q[row, query, head] @ k[row, key, group]) * (6**-0.5 if scale is None else scale)
                    for key in range(first, query + 1)
                ]
                total = sum(map(math.exp, scores))
                for key, score in enumerate(scores, start=first):
                    wanted[row, query, head] += math.exp(score) / total * v[row, key, group].double()
    near(library.attend(q, k, v, START, window, scale), wanted)


@pytest.mark.parametrize("kernel", [1, 3, 12])
@pytest.mark.parametrize("bias", [False, True])
def test_causal_conv_weighs_the_recent_past_of_each_channel(kernel: int, bias: bool):
    conv, x = library.CausalConv(6, kernel, bias=bias), drawn(2, 9, 2, 3)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(drawn(*parameter.shape))
    wanted = torch.zeros(2, 9, 6, dtype=torch.double)
    flat = x.flatten(2)
    for position in range(9):
        for channel in range(6):
            for tap in range(kernel):
                before = position - (kernel - 1) + tap
                if before >= 0:
                    wanted[:, position, channel] += (
                        conv.weight[channel, 0, tap].item() * flat[:, before, channel]
                    )
            wanted[:, position, channel] += conv.bias[channel].item() if conv.bias is not None else 0
    near(conv(x, START).detach(), wanted.unflatten(2, (2, 3)))


def test_shift_is_the_value_n_positions_ago():
    x = drawn(2, 9, 3)
    for n in (1, 4, 9, 12):
        wanted = torch.zeros(2, 9, 3)
        for position in range(n, 9):
            wanted[:, position] = x[:, position - n]
        assert torch.equal(library.shift(x, n, START), wanted)


def vectors(x: Tensor) -> list[list[float]]:
    return x.double().flatten(0, -2).tolist()


def test_norms_follow_their_formulas():
    x = drawn(2, 9, 5) * 0.01  # small, so that eps counts
    rms, layer, l2 = [], [], []
    for row in vectors(x):
        mean = sum(row) / 5
        variance = sum((value - mean) ** 2 for value in row) / 5
        rms.append([value / math.sqrt(sum(v * v for v in row) / 5 + 1e-4) for value in row])
        layer.append([(value - mean) / math.sqrt(variance + 1e-4) for value in row])
        l2.append([value / math.sqrt(sum(v * v for v in row) + 1e-4) for value in row])
    near(library.rms_norm(x, eps=1e-4), torch.tensor(rms).view(2, 9, 5))
    near(library.layer_norm(x, eps=1e-4), torch.tensor(layer).view(2, 9, 5))
    near(library.l2_norm(x, eps=1e-4), torch.tensor(l2).view(2, 9, 5))


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_gain_of_rms_norm_counts_from_its_offset(offset: float):
    norm, x = library.RMSNorm(5, eps=1e-4, offset=offset), drawn(2, 9, 5)
    with torch.no_grad():
        norm.gain.copy_(torch.arange(5.0))
    wanted = library.rms_norm(x, eps=1e-4) * (torch.arange(5.0) + offset)
    near(norm(x).detach(), wanted)


@pytest.mark.parametrize(("gain", "bias"), [(True, False), (False, True), (True, True)])
def test_layer_norm_has_the_gain_and_the_bias_it_was_asked_for(gain: bool, bias: bool):
    norm, x = library.LayerNorm(5, gain=gain, bias=bias, eps=1e-4), drawn(2, 9, 5)
    wanted = library.layer_norm(x, eps=1e-4)
    with torch.no_grad():
        if norm.gain is not None:
            norm.gain.copy_(torch.arange(5.0))
            wanted = wanted * torch.arange(5.0)
        if norm.bias is not None:
            norm.bias.copy_(torch.arange(5.0) - 2)
            wanted = wanted + torch.arange(5.0) - 2
    assert len(list(norm.parameters())) == gain + bias
    near(norm(x).detach(), wanted)


def test_softcap_and_softmax():
    x = drawn(2, 9, 5) * 20
    capped = [[15 * math.tanh(value / 15) for value in row] for row in vectors(x)]
    shares = [[math.exp(value) / sum(map(math.exp, row)) for value in row] for row in vectors(x)]
    near(library.softcap(x, 15), torch.tensor(capped).view(2, 9, 5))
    near(library.softmax(x), torch.tensor(shares).view(2, 9, 5))


@torch.no_grad()
def test_linear_and_embedding():
    linear, embedding = library.Linear(3, 2, bias=True), library.Embedding(4, 3)
    for parameter in (*linear.parameters(), *embedding.parameters()):
        parameter.copy_(drawn(*parameter.shape))
    ids = torch.tensor([[0, 3, 3]])
    looked_up = embedding(ids, torch.float32)
    assert torch.equal(looked_up, torch.stack([embedding.weight[i] for i in (0, 3, 3)])[None])
    assert linear.bias is not None
    wanted = torch.zeros(1, 3, 2)
    for position in range(3):
        for out in range(2):
            products = (looked_up[0, position, i] * linear.weight[out, i] for i in range(3))
            wanted[0, position, out] = float(sum(products)) + float(linear.bias[out])
    near(linear(looked_up), wanted)


@pytest.mark.parametrize("norm", [library.rms_norm, library.layer_norm, library.l2_norm, library.softmax])
def test_norms_compute_in_float32_and_give_back_their_inputs_dtype(norm):
    x = (drawn(2, 9, 512) * 30).bfloat16()
    assert norm(x).dtype == torch.bfloat16
    assert torch.equal(norm(x), norm(x.float()).bfloat16())


def test_masters_of_float32_meet_values_of_bfloat16():
    x = drawn(2, 9, 6).bfloat16()
    modules = [
        library.Linear(6, 4, bias=True),
        library.RMSNorm(6, eps=1e-6),
        library.LayerNorm(6, gain=True, bias=True, eps=1e-6),
    ]
    for module in modules:
        assert module(x).dtype == torch.bfloat16
    assert library.CausalConv(6, 3, bias=True)(x, START).dtype == torch.bfloat16
    assert library.Embedding(4, 6)(torch.tensor([[1]]), torch.bfloat16).dtype == torch.bfloat16
    assert library.attend(*(x[:, :, None],) * 3, START).dtype == torch.bfloat16
    mixed = library.attend(x[:, :, None], x[:, :, None].float(), x[:, :, None].float(), START)
    assert mixed.dtype == torch.bfloat16
