"""Decoding speed on this machine: this engine beside a plain eager loop, at batch 1, 8 and 32.

    python -m benchmarks.decode    # `nanogen bench --only decode` measures the engine alone, for any spec

The loop is nanochat's engine as of 2025, written out for one model: eager, with keys and values in tensors that
grow. Both decode a GPT of 6 layers, width 384, 6 heads, 4,096 ids in float32: a prompt of 64, then 128 new tokens,
greedily. The bound is the bytes that a step must read, over what this machine reads a second.
"""

from __future__ import annotations

import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from nanogen.answers.reads import step_bytes
from nanogen.compiler import compile_file
from nanogen.load import Load
from nanogen.shelf import find
from runtime.decoding.engine import Engine
from runtime.decoding.prepack import prepare
from stages.benching.decoding import bandwidth, engine_rate, living
from stages.benching.samples import alternately

DIMS = {"depth": 6, "width": 384, "heads": 6, "vocab": 4096, "context": 256}
PROMPT, NEW, BATCHES, TIMES = 64, 128, (1, 8, 32), 7
NANOCHAT = {1: 222, 8: 1167, 32: 2236}  # nanochat HEAD, on another machine of two cores


def main() -> None:
    compiled = compile_file(find("nanochat_2025", "model"), DIMS)
    model = living(compiled)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    prepare(model, torch.float32)
    read = bandwidth()
    print(f"{torch.get_num_threads()} threads, {read / 1e9:.1f} GB/s read, the best of {TIMES} in turn")
    print(
        f"{'batch':>5} {'eager':>8} {'engine':>8} {'ratio':>6} {'nanochat':>9} {'bound':>8} {'of bound':>8}"
    )
    for batch in BATCHES:
        prompts = torch.randint(4096, (batch, PROMPT), generator=torch.Generator().manual_seed(batch))
        engine = Engine(model, compiled.blueprint, rows=batch, compiled=True)
        plain, ours = alternately(
            lambda p=prompts: eager(weights, p),
            lambda p=prompts, e=engine: engine_rate(e, p.tolist(), NEW),
            times=TIMES,
        )
        bound = batch * read / step_bytes(compiled.graph, Load(batch, 1, PROMPT + NEW // 2), run_bytes=4)
        print(
            f"{batch:>5} {plain:>8,.0f} {ours:>8,.0f} {ours / plain:>5.1f}x {ours / NANOCHAT[batch]:>8.1f}x"
            f" {bound:>8,.0f} {ours / bound:>8.0%}"
        )


@torch.inference_mode()
def eager(weights: dict[str, Tensor], prompts: Tensor) -> float:
    """The plain loop: prefill, then a token at a time, concatenating keys and values."""
    past: list[tuple[Tensor, Tensor] | None] = [None] * DIMS["depth"]
    ids = forward(weights, prompts, 0, past).argmax(-1, keepdim=True)
    begun, written = time.perf_counter(), [ids.tolist()]
    for place in range(PROMPT, PROMPT + NEW - 1):
        ids = forward(weights, ids, place, past).argmax(-1, keepdim=True)
        written.append(ids.tolist())  # whoever waits for them gets them as they come
    return len(prompts) * (NEW - 1) / (time.perf_counter() - begun)


def forward(w: dict[str, Tensor], ids: Tensor, first: int, past: list) -> Tensor:
    """Logits (B, V) of the last position of a GPT, as nanochat has it."""
    x = norm(F.embedding(ids, w["embed.weight"]))
    table = rotary(first, ids.shape[1])
    for layer in range(DIMS["depth"]):
        path = f"trunk.{layer}"
        h = norm(x)
        q, k, v = (F.linear(h, w[f"{path}.attn.{n}.weight"]).unflatten(-1, (6, 64)) for n in "qkv")
        q, k, v = (t.transpose(1, 2) for t in (norm(rotate(q, table)), norm(rotate(k, table)), v))
        if past[layer] is not None:
            k, v = torch.cat((past[layer][0], k), dim=2), torch.cat((past[layer][1], v), dim=2)
        past[layer] = k, v
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=first == 0)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), w[f"{path}.attn.y.weight"])
        up = F.relu(F.linear(norm(x), w[f"{path}.mlp.up.weight"])).square()
        x = x + F.linear(up, w[f"{path}.mlp.y.weight"])
    return 15 * torch.tanh(F.linear(norm(x)[:, -1], w["head.weight"]) / 15)


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:])


def rotary(first: int, count: int) -> tuple[Tensor, Tensor]:
    speed = 1.0 / 10000 ** (torch.arange(0, 64, 2).float() / 64)
    angle = torch.arange(first, first + count)[:, None].float() * speed
    return angle.cos().bfloat16()[None, :, None], angle.sin().bfloat16()[None, :, None]


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    (cos, sin), (a, b) = table, x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


if __name__ == "__main__":
    sys.exit(main())
