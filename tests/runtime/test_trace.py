"""The trace: modules whose matmuls are known by hand, and attention against which key moves which query."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from runtime.primitives import CausalConv, Embedding, Linear, Now, attend
from runtime.trace import trace_decoding, trace_training, tracing

ROWS, TOKENS, WIDTH = 2, 7, 6


class Embedded(nn.Module):
    """Tokens looked up, then whatever a test puts behind."""

    def __init__(self, behind: nn.Module):
        super().__init__()
        self.embed = Embedding(11, WIDTH)
        self.behind = behind

    def forward(self, tokens: Tensor, now: Now | None = None) -> Tensor:
        now = now or Now.start(tokens)
        return self.behind(self.embed(tokens, now.dtype), now)


class Function(nn.Module):
    def __init__(self, compute: Any, **parts: nn.Module):
        super().__init__()
        self.parts, self.compute = nn.ModuleDict(parts), compute

    def forward(self, x: Tensor, now: Now) -> Tensor:
        return self.compute(x, now, **self.parts)


def traced(compute: Any, **parts: nn.Module) -> tuple[int, int]:
    model = Embedded(Function(compute, **parts)).to("meta")
    return trace_training(model, rows=ROWS, tokens=TOKENS)


def decoded(compute: Any, state: Any, *, tokens: int, past: int) -> int:
    model = Embedded(Function(compute)).to("meta")
    return trace_decoding(model, {"state": state}, rows=ROWS, tokens=tokens, past=past)


def test_a_linear_costs_three_times_its_forward_with_its_backward():
    each = 2 * ROWS * TOKENS * WIDTH * 5
    assert traced(lambda x, now, a: a(x), a=Linear(WIDTH, 5)) == (each, 2 * each)
    assert traced(lambda x, now, a: a(x), a=Linear(WIDTH, 5, bias=True)) == (each, 2 * each)


def test_what_needs_no_gradient_costs_none():
    each = 2 * ROWS * TOKENS * WIDTH * 5
    assert traced(lambda x, now, a: a(torch.ones_like(x)) + x[..., :1], a=Linear(WIDTH, 5)) == (each, each)
    assert traced(lambda x, now, a: a(x).detach() + x[..., :1], a=Linear(WIDTH, 5)) == (each, 0)

    def reaches_no_logit(x: Tensor, now: Now, a: nn.Module) -> Tensor:
        a(x)
        return x

    assert traced(reaches_no_logit, a=Linear(WIDTH, 5)) == (each, 0)


def test_what_torch_counts_is_counted_alike():
    def compute(x: Tensor, now: Now, a: nn.Module, b: nn.Module) -> Tensor:
        y = torch.einsum("btn,btm->bnm", a(x), torch.tanh(b(x)))
        return torch.baddbmm(y, y @ y.mT, y) @ y.mT

    parts = {"a": Linear(WIDTH, 5), "b": Linear(WIDTH, 4)}
    model = Embedded(Function(compute, **parts)).to("meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(ROWS, TOKENS, dtype=torch.int64, device="meta")).sum().backward()
    assert sum(traced(compute, **parts)) == counter.get_total_flops()


@pytest.mark.parametrize("kernel", [1, 2, 4, 20])
def test_a_convolution_multiplies_each_tap_with_each_value(kernel: int):
    each = 2 * ROWS * TOKENS * WIDTH * kernel
    conv = CausalConv(WIDTH, kernel, bias=True)
    assert traced(lambda x, now, conv: conv(x * x, now) * x, conv=conv) == (each, 2 * each)


def attention(window: int | None, groups: int = 1, **settings: Any) -> Any:
    def compute(x: Tensor, now: Now) -> Tensor:
        q = x.unflatten(-1, (3, 2))
        return attend(q, q[..., :groups, :], q[..., :groups, :1], now, window=window, **settings).flatten(2)

    return compute


def pairs_that_matter(window: int | None) -> int:
    """Pairs of positions in which another value at the one changes the result at the other."""
    k = torch.zeros(1, TOKENS, 1, 2)
    now = Now.start(torch.zeros(1, TOKENS, dtype=torch.int64))
    moved = torch.autograd.functional.jacobian(
        lambda v: attend(k, k, v, now, window=window), torch.ones_like(k)
    )
    return int((moved.sum((0, 2, 3, 4, 6, 7)) != 0).sum())


@pytest.mark.parametrize("window", [None, 1, 2, 6, 7, 50])
@pytest.mark.parametrize("groups", [1, 3])
def test_attention_costs_what_it_looks_at(window: int | None, groups: int):
    each = 2 * ROWS * 3 * pairs_that_matter(window) * (2 + 1)
    assert traced(attention(window, groups)) == (each, 2 * each)


@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("settings", [{"softcap": 2.0}, {"sinks": torch.zeros(3, device="meta")}], ids=str)
def test_attention_that_is_written_out_costs_no_more(window: int | None, groups: int, settings: dict):
    each = 2 * ROWS * 3 * pairs_that_matter(window) * (2 + 1)
    assert traced(attention(window, groups, **settings)) == (each, 2 * each)
    leaf = {"positions": window, "dtype": "run"}
    state = {"k": {"axes": [groups, 2], **leaf}, "v": {"axes": [groups, 1], **leaf}}
    seen = [min(place + 1, window or 99) for place in (4, 5)]
    assert (
        decoded(attention(window, groups, **settings), state, tokens=2, past=4)
        == 2 * ROWS * 3 * sum(seen) * 3
    )


def test_matmuls_around_attention_that_is_written_out_are_whole():
    def compute(x: Tensor, now: Now, a: nn.Module) -> Tensor:
        squares = torch.matmul(x[..., None] * 2, x[..., None, :])  # of each position, in one batch
        return attention(2, softcap=1.0)(a(x + squares.sum(-1)), now)

    pairs = 2 * ROWS * 3 * pairs_that_matter(2) * 3
    around = 2 * ROWS * TOKENS * WIDTH * WIDTH
    assert traced(compute, a=Linear(WIDTH, WIDTH)) == (pairs + 2 * around, 2 * (pairs + 2 * around))


def test_attention_to_keys_that_do_not_learn():
    def compute(x: Tensor, now: Now) -> Tensor:
        q = x.unflatten(-1, (3, 2))
        return attend(q, q.detach(), q.detach()[..., :1], now).flatten(2)

    pairs = 2 * ROWS * 3 * TOKENS * (TOKENS + 1) // 2
    assert traced(compute) == (pairs * 3, pairs * 3)  # backward: scores, one wide, and queries, two


@pytest.mark.parametrize("window", [None, 1, 3, 9])
@pytest.mark.parametrize(("tokens", "past"), [(1, 0), (1, 8), (3, 5), (6, 0)])
def test_decoding_looks_at_what_was_seen_and_not_at_what_is_allocated(window, tokens, past):
    leaf = {"positions": window, "dtype": "run"}
    state = {"k": {"axes": [1, 2], **leaf}, "v": {"axes": [1, 1], **leaf}}
    seen = [min(place + 1, window or 99) for place in range(past, past + tokens)]
    assert decoded(attention(window), state, tokens=tokens, past=past) == 2 * ROWS * 3 * sum(seen) * 3


def test_a_mask_that_follows_from_values_is_refused():
    def compute(x: Tensor, now: Now) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, attn_mask=x @ x.mT > 0)

    with pytest.raises(AssertionError, match="positions alone"):
        traced(compute)


def test_what_the_trace_has_no_rule_for_is_refused():
    conv = nn.Conv1d(TOKENS, TOKENS, 3)
    with pytest.raises(AssertionError, match="no rule"):
        traced(lambda x, now, conv: conv(x), conv=conv)


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH), (4, WIDTH)])
@pytest.mark.parametrize("outputs", [1, 5])
def test_a_vector_that_is_learned_meets_a_matrix(shape: tuple[int, ...], outputs: int):
    """Torch has other operations for vectors than for matrices."""
    rows = shape[0] if len(shape) == 2 else 1

    def compute(x: Tensor, now: Now, table: nn.Module, a: nn.Module) -> Tensor:
        return x[..., :1] * a(table.weight.view(shape)).sum()

    each = 2 * rows * WIDTH * outputs
    found = traced(compute, table=Embedding(rows, WIDTH), a=Linear(WIDTH, outputs))
    assert found == (each, 2 * each)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_real_model_is_traced_like_one_without_memory(device: str):
    def compute(x: Tensor, now: Now, conv: nn.Module) -> Tensor:
        return attention(3)(conv(x, now), now)

    model = Embedded(Function(compute, conv=CausalConv(WIDTH, 2))).to(device)
    each = 2 * ROWS * 3 * pairs_that_matter(3) * 3 + 2 * ROWS * TOKENS * WIDTH * 2
    assert trace_training(model, rows=ROWS, tokens=TOKENS) == (each, 2 * each)


def test_hooks_are_gone_after_a_fault():
    model = Embedded(Function(lambda x, now, conv: conv(x, now), conv=CausalConv(WIDTH, 2)))
    with pytest.raises(ZeroDivisionError), tracing(model):
        _ = 1 / 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
