"""Training speed on this machine: a GPT spec beside a plain model written by hand, one step of each in turn.

    python -m benchmarks.train [ROUNDS]    # 20 rounds unless said

Each trains in a process of its own, as it would by itself, while the other waits. Both are a GPT of 4 layers, width
256, 2 heads and 4,096 ids, trained on 8 x 256 tokens by Muon and AdamW with equal rates, both compiled, both with
float32 masters computed in bfloat16: the plain one under autocast, whose casts the compiler takes into its graph. The
plain model is compiled whole, and so is its Newton-Schulz iteration, a matrix at a time; its AdamW is torch's fused
one, and its memory comes from the system's allocator as that is, where ours is asked to keep what was freed
(`runtime/heap.py`). Both are first held to learn alike. Memory is what a whole loss and a chunked one need at most,
eagerly, above what their inputs take.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain import Plain, PlainMuon, Sizes, by_plain_names
from nanogen.compiler import compile_file
from nanogen.shelf import find
from runtime.device import be_deterministic, ready_to_train
from runtime.losses import token_losses
from runtime.model import build, initialize
from runtime.schedule import Schedule
from runtime.training import Trainer
from stages.training import recipe
from tests.live_bytes import LiveBytes

DEPTH, WIDTH, HEADS, VOCAB, ROWS, TOKENS = 4, 256, 2, 4096, 8, 256
SIZES = Sizes(DEPTH, WIDTH, HEADS, VOCAB, TOKENS)
DIMS = {"depth": DEPTH, "width": WIDTH, "heads": HEADS, "vocab": VOCAB, "context": TOKENS}
NANOCHAT = 11_118  # tokens/s of nanochat at its HEAD, on another machine of two cores
BATCHES = 16
EQUAL_STEPS, EQUAL = 8, 0.02  # nats that two ways of rounding may be apart

Step = Callable[[Tensor, Tensor], float]


def plain_step(weights: dict[str, Tensor], rates: dict[str, float], compiled: bool) -> Step:
    model = Plain(SIZES)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weights[name])
    tables = [
        {"params": [model.embed.weight], "lr": rates["embedding"]},
        {"params": [model.head.weight], "lr": rates["head"]},
    ]
    adamw = torch.optim.AdamW(tables, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    muon = PlainMuon([p for n, p in model.named_parameters() if "blocks" in n], rates["matrix"], 0.95)
    loss_of: Any = torch.compile(model, dynamic=False) if compiled else model

    def step(inputs: Tensor, targets: Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(inputs, targets)
        loss.backward()
        adamw.step()
        muon.step()
        adamw.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def our_trainer(compiled: bool) -> tuple[Trainer, dict[str, float]]:
    made = compile_file(find("nanochat_2025", "model"), DIMS)
    model = build(made.source, made.blueprint)
    initialize(model, made.blueprint, seed=0)
    settled = recipe.settle(recipe.Tuned(), made, recipe.fixed(10_000, ROWS * TOKENS, made))
    optimizer: Any = settled.optimizer(model, "bfloat16")
    trainer = Trainer(
        model=model,
        optimizer=optimizer,
        schedule=Schedule(10_000),
        loader=None,
        accumulation=1,
        dtype=torch.bfloat16,
        device="cpu",
        compiled=compiled,
        regions=made.blueprint["regions"],
        ending=made.blueprint["ending"],
    )
    return trainer, {group.name: group.rate for group in optimizer.groups}


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    """Rows of a text with something to learn: each id follows from the one before it, most of the time."""
    stream = torch.Generator().manual_seed(0)
    after = torch.randint(VOCAB, (VOCAB,), generator=stream)
    found = []
    for _ in range(count):
        ids = torch.randint(VOCAB, (ROWS, TOKENS + 1), generator=stream)
        for place in range(1, TOKENS + 1):
            stays = torch.rand(ROWS, generator=stream) < 0.8
            ids[:, place] = torch.where(stays, after[ids[:, place - 1]], ids[:, place])
        found.append((ids[:, :-1].contiguous(), ids[:, 1:].contiguous()))
    return found


def loss_bytes(rows: int, whole: bool) -> int:
    """Bytes that a loss and its gradients need at most beside weights and what the layers keep, run eagerly."""
    made = compile_file(find("nanochat_2025", "model"), {**DIMS, "depth": 1})
    model = build(made.source, made.blueprint)
    initialize(model, made.blueprint, seed=0)
    halves: Any = model
    losses = token_losses(model, torch.bfloat16, ending=None if whole else made.blueprint["ending"])
    ids = torch.zeros(rows, TOKENS, dtype=torch.int64)
    left = torch.zeros(rows, TOKENS, WIDTH, dtype=torch.bfloat16).requires_grad_()
    halves._layers = lambda tokens, now: (left,)
    live = LiveBytes([*model.parameters(), ids, left])
    before = live.now
    with live:
        losses(ids, ids, weights=torch.ones(rows, TOKENS)).sum().backward()
    return live.peak - before


def work(name: str, pipe: Connection) -> None:
    """Make the steps of one model that the other end asks for by number; answer with loss and seconds."""
    be_deterministic()
    torch.manual_seed(0)
    trainer, rates = our_trainer(compiled=True)
    if name == "plain":
        step = plain_step(by_plain_names(trainer.model), rates, compiled=True)
    else:
        ready_to_train()

        def step(inputs: Tensor, targets: Tensor) -> float:
            return trainer.learn([(inputs, targets)]).loss

    data = batches(BATCHES)
    while (number := pipe.recv()) is not None:
        begun = time.perf_counter()
        loss = step(*data[number % BATCHES])
        pipe.send((loss, time.perf_counter() - begun))


def begin(name: str) -> Connection:
    """Start a process for one model."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    spawn.Process(target=work, args=(name, there), daemon=True).start()
    return here


def ask(pipe: Connection, number: int) -> tuple[float, float]:
    pipe.send(number)
    return pipe.recv()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    models = {name: begin(name) for name in ("plain", "ours")}
    for number in range(EQUAL_STEPS):
        losses = [ask(pipe, number)[0] for pipe in models.values()]
        assert abs(losses[0] - losses[1]) < EQUAL, f"step {number}: the losses are {losses}"
    print(
        f"{torch.get_num_threads()} threads; after {EQUAL_STEPS} steps losses {losses[0]:.4f}, {losses[1]:.4f}"
    )
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds):
        for name in models if number % 2 else reversed(models):
            seconds[name].append(ask(models[name], number)[1])
    for pipe in models.values():
        pipe.send(None)
    tell(seconds)
    for rows in (ROWS, 4 * ROWS):
        plainly, cut = (loss_bytes(rows, whole) / 2**20 for whole in (True, False))
        print(f"memory of the loss, eager, {rows} rows: whole {plainly:,.1f} MiB, in chunks {cut:,.1f} MiB")


def tell(seconds: dict[str, list[float]]) -> None:
    for told, of in (("best", min), ("median", statistics.median)):
        rate = {name: ROWS * TOKENS / of(times) for name, times in seconds.items()}
        print(
            f"{told:>6} of {len(seconds['ours'])}: plain {rate['plain']:,.0f}, ours {rate['ours']:,.0f} tokens/s, "
            f"{rate['ours'] / rate['plain']:.3f}x; {rate['ours'] / NANOCHAT:.2f}x of nanochat's {NANOCHAT:,}"
        )
    pairs = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    print(f"median of the rounds' own ratios: {statistics.median(pairs):.3f}x")


if __name__ == "__main__":
    main()
