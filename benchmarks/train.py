"""Training speed on this machine: a GPT spec beside a plain model written by hand, one step of each in turn.

    python -m benchmarks.train [ROUNDS]    # 20 rounds unless said

Each trains in a process of its own, as it would by itself, while the other waits. Both are a GPT of 4 layers, width 256, 2 heads and 4,096 ids, trained on 8 x 256 tokens by Muon and AdamW with equal
rates, both compiled, both with float32 masters computed in bfloat16: the plain one under autocast, whose casts the
compiler takes into its graph. The plain model is compiled whole, and so is its Newton-Schulz iteration, a matrix at a
time; its AdamW is torch's fused one, and its memory comes from the system's allocator as that is, where ours is asked
to keep what was freed (`runtime/heap.py`). Both are first held to learn alike. Memory is what a whole loss and a chunked one
need at most, eagerly, above what their inputs take.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanogen.compiler import compile_file
from nanogen.shelf import find
from runtime.device import be_deterministic, ready_to_train
from runtime.losses import token_losses
from runtime.model import build, initialize
from runtime.optimizer import Optimizer
from runtime.schedule import Schedule
from runtime.training import Trainer
from stages import recipe
from tests.live_bytes import LiveBytes

DEPTH, WIDTH, HEADS, VOCAB, ROWS, TOKENS = 4, 256, 2, 4096, 8, 256
DIMS = {"depth": DEPTH, "width": WIDTH, "heads": HEADS, "vocab": VOCAB, "context": TOKENS}
NANOCHAT = 11_118  # tokens/s of nanochat at its HEAD, on another machine of two cores
BATCHES = 16
EQUAL_STEPS, EQUAL = 8, 0.02  # nats that two ways of rounding may be apart

Step = Callable[[Tensor, Tensor], float]


class Block(nn.Module):
    """Attention with normed queries and keys, then a squared ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.y = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        h = F.rms_norm(x, (WIDTH,))
        q, k, v = (f(h).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (F.rms_norm(rotate(t, cos, sin), (t.shape[-1],)) for t in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.y(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.relu(self.up(F.rms_norm(x, (WIDTH,)))).square())


class Plain(nn.Module):
    """The GPT of nanochat in 2025, as one would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        speed = 1.0 / 10000 ** (torch.arange(0, WIDTH // HEADS, 2).float() / (WIDTH // HEADS))
        angle = torch.arange(TOKENS)[:, None].float() * speed
        self.register_buffer("cos", angle.cos().bfloat16())
        self.register_buffer("sin", angle.sin().bfloat16())

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = F.rms_norm(self.embed(ids).bfloat16(), (WIDTH,))
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = 15 * torch.tanh(self.head(F.rms_norm(x, (WIDTH,))).float() / 15)
        return F.cross_entropy(logits.view(-1, VOCAB), targets.view(-1), ignore_index=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


@torch.compile
def newton_schulz(g: Tensor) -> Tensor:
    """Five quintic iterations in bfloat16, as Keller Jordan published them."""
    x = g.bfloat16()
    x = x.mT if g.shape[0] > g.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if g.shape[0] > g.shape[1] else x


class PlainMuon:
    """Muon, a matrix at a time."""

    def __init__(self, matrices: Sequence[Tensor], rate: float, momentum: float) -> None:
        self.matrices, self.rate, self.momentum = matrices, rate, momentum
        self.averages = [torch.zeros_like(p) for p in matrices]

    @torch.no_grad()
    def step(self) -> None:
        for p, average in zip(self.matrices, self.averages, strict=True):
            assert p.grad is not None
            average.lerp_(p.grad, 1 - self.momentum)
            step = newton_schulz(p.grad.lerp(average, self.momentum))
            p.add_(step, alpha=-self.rate * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)
            p.grad = None


def plain_step(weights: dict[str, Tensor], rates: dict[str, float], compiled: bool) -> Step:
    model = Plain()
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
    optimizer: Optimizer = settled.optimizer(model, "bfloat16")
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


NAMES = {"attn.q": "q", "attn.k": "k", "attn.v": "v", "attn.y": "y", "mlp.up": "up", "mlp.y": "down"}


def by_plain_names(model: nn.Module) -> dict[str, Tensor]:
    """Our weights by the names of the plain model."""
    found = {}
    for name, p in model.named_parameters():
        for ours, plain in NAMES.items():
            name = name.replace(ours, plain)
        found[name.replace("trunk", "blocks")] = p.detach().clone()
    return found


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
