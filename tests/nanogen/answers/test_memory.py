"""The ledger against the bytes that are alive while a small model is trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from attrs import frozen

from benchmarks.memory import kept_compiled
from nanogen.answers.memory import Ledger, ledger, most_rows
from nanogen.compiler import Compiled, compile_text
from nanogen.load import Load
from runtime import optimizer_memory
from runtime.attention_memory import attention
from runtime.losses import token_losses
from runtime.model import build, initialize
from runtime.optimizer import Entry, Optimizer
from tests.live_bytes import LiveBytes
from tests.rules import rules

SPECS = Path(__file__).parents[3] / "specs"
SMALL = {"width": 64, "heads": 2, "vocab": 300, "context": 256}
NAMES = ("nanochat_2025", "saint_iberis_d20", "saint_iberis_jp")
TWO_LAYERS = re.sub(r"depth +=.*", "depth = 2", (SPECS / "nanochat_2025.toml").read_text())
DTYPES = (torch.float32, torch.bfloat16)


def small(name: str) -> Compiled:
    text = re.sub(r"attention = \[.*?\]", "attention = [1, 4]", (SPECS / f"{name}.toml").read_text())
    return compile_text(re.sub(r"depth +=.*", "depth = 5", text), SMALL)


@frozen
class Measured:
    """Bytes alive at each moment of the last of two steps."""

    weights: int
    optimizer: int
    in_forward: int  # at most
    after_forward: int
    in_backward: int  # at most
    gradients: int
    in_update: int  # at most
    peak: int


def measure(compiled: Compiled, dtype: torch.dtype, rows: int, tokens: int, micro_batches: int) -> Measured:
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    roles = {p["path"]: p["role"] for p in compiled.blueprint["parameters"]}
    entries = [Entry(path, roles[path], p) for path, p in model.named_parameters()]
    optimizer = Optimizer(entries, rules(64), dtype=str(dtype).removeprefix("torch."))
    losses = token_losses(model, dtype, ending=compiled.blueprint["ending"])
    ids = torch.arange(rows * tokens).view(rows, tokens) % 7
    live = LiveBytes(model.parameters())
    weights = live.now
    for tensor in optimizer.state().values():
        live.meet(tensor)
    fixed, tops = live.now, []
    with live:
        for _ in range(2 * micro_batches):
            loss = losses(ids, ids, weights=torch.ones(rows, tokens)).sum()
            in_forward, after_forward, live.peak = live.peak, live.now, live.now
            loss.backward()
            del loss
            gradients, in_backward, live.peak = live.now, live.peak, live.now
            tops.append(max(in_forward, in_backward))
            if len(tops) % micro_batches == 0:
                optimizer.step(1.0, 0.95)
                in_update = live.peak
                optimizer.zero_grad()
                live.peak = live.now
    peak = max(*tops, in_update)
    return Measured(
        weights, fixed - weights, in_forward, after_forward, in_backward, gradients - fixed, in_update, peak
    )


def counted(compiled: Compiled, dtype: torch.dtype, rows: int, tokens: int, **more: bool) -> Ledger:
    return ledger(compiled.graph, Load(rows, tokens), dtype.itemsize, optimizer_memory, **more)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_each_term_is_the_one_that_is_measured(name: str, dtype: torch.dtype):
    compiled, rows, tokens = small(name), 3, 40
    found = counted(compiled, dtype, rows, tokens, accumulates=False)
    real = measure(compiled, dtype, rows, tokens, 1)
    inputs = 2 * 8 * rows * tokens  # ids, which the embedding keeps, and the loss as its targets
    assert found.weights == real.weights
    assert found.gradients == pytest.approx(real.gradients, rel=0.01)  # and the ids, which the test holds
    assert found.optimizer == pytest.approx(real.optimizer, rel=0.001)  # and AdamW's counts of steps
    assert found.workspace == pytest.approx(
        real.in_update - real.weights - real.optimizer - real.gradients, rel=0.01
    )
    kept = real.after_forward - real.weights - real.optimizer - inputs
    head = compiled.graph.vocab * 64 * dtype.itemsize * (dtype.itemsize < 4)  # its cast went with the loss
    assert found.activations + found.casts - head + found.ending == pytest.approx(kept, rel=0.01)
    assert found.casts == (dtype.itemsize < 4) * 2 * (found.weights // 4 - compiled.graph.vocab * 64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_loss_that_is_not_cut_has_all_logits_at_once(dtype: torch.dtype):
    text = (SPECS / "nanochat_2025.toml").read_text().replace("rms_norm(trunk)", "shift(trunk, 1)")
    compiled = compile_text(re.sub(r"depth +=.*", "depth = 2", text), {**SMALL, "vocab": 3000})
    assert compiled.blueprint["ending"] is None
    found, real = counted(compiled, dtype, 2, 96), measure(compiled, dtype, 2, 96, 2)
    one = 4 * 2 * 96 * 3000  # the log-probabilities are kept, their gradients come
    assert real.in_backward - real.after_forward == pytest.approx(2 * one, rel=0.05)
    assert (found.logits, found.ending, found.passing) == (3 * one, 0, 0)
    assert found.total == pytest.approx(real.peak, rel=0.02)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_memory_for_the_loss_does_not_grow_with_rows(dtype: torch.dtype):
    """Of what there is beside the layers' own at most, only what they left, and its gradient, has a row for each."""
    text = re.sub(r"depth +=.*", "depth = 1", (SPECS / "nanochat_2025.toml").read_text())
    compiled = compile_text(text, {**SMALL, "vocab": 4000})

    def loss_of(rows: int) -> int:
        real, found = measure(compiled, dtype, rows, 256, 1), counted(compiled, dtype, rows, 256)
        assert found.logits == pytest.approx(
            real.in_forward - real.after_forward + rows * 256 * 64 * dtype.itemsize, rel=0.1
        )
        return real.in_forward - real.weights - real.optimizer - found.activations

    assert (
        loss_of(8) - loss_of(2) < 1.1 * 2 * 6 * 256 * 64 * dtype.itemsize
    )  # whole, it would be 20 times that


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rows", "tokens", "micro_batches"),
    [(4, 96, 1), (4, 96, 2), (8, 256, 1), (1, 256, 3), (1, 8, 1), (1, 8, 2)],
)
def test_the_total_is_the_measured_peak(name: str, dtype: torch.dtype, rows, tokens, micro_batches):
    compiled = small(name)
    found = counted(compiled, dtype, rows, tokens, accumulates=micro_batches > 1)
    real = measure(compiled, dtype, rows, tokens, micro_batches)
    assert found.total == pytest.approx(real.peak, rel=0.02)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_what_compiled_layers_keep_where_attention_is_in_blocks():
    """In float32: in bfloat16 a compiler makes again what norms keep in eager code."""
    compiled, rows = compile_text(TWO_LAYERS, {**SMALL, "context": 192}), 8
    load = Load(rows, 192, attention=attention("cpu", compiled=True))
    found = ledger(compiled.graph, load, 4, optimizer_memory)
    assert found.activations == pytest.approx(kept_compiled(compiled, torch.float32, rows), rel=0.02)
    assert found.activations > 1.2 * counted(compiled, torch.float32, rows, 192).activations
    held = most_rows(compiled.graph, 192, 4, optimizer_memory, found.total, load.attention)
    assert held == rows < most_rows(compiled.graph, 192, 4, optimizer_memory, found.total)


@pytest.mark.parametrize("run_bytes", [2, 4])
def test_the_most_rows_fit_and_one_more_does_not(run_bytes: int):
    graph = small("saint_iberis_d20").graph

    def needed(rows: int) -> int:
        return ledger(graph, Load(rows, 100), run_bytes, optimizer_memory).total

    for memory in (needed(1), needed(2) - 1, needed(9), needed(9) + 1, needed(10) - 1, 10**9):
        rows = most_rows(graph, 100, run_bytes, optimizer_memory, memory)
        assert needed(rows) <= memory < needed(rows + 1)
    assert most_rows(graph, 100, run_bytes, optimizer_memory, needed(1) - 1) == 0


def test_an_update_that_does_not_fit_leaves_no_rows():
    graph = small("nanochat_2025").graph
    found = ledger(graph, Load(1, 1), 4, optimizer_memory)
    assert found.total == found.weights + found.optimizer + found.gradients + found.workspace
    assert most_rows(graph, 1, 4, optimizer_memory, found.total - 1) == 0
    assert most_rows(graph, 1, 4, optimizer_memory, found.total) >= 1
