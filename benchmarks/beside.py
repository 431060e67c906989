"""Training speed of one spec beside a plain PyTorch version of the same model, some steps of each in turn, as JSON.

    python -m benchmarks.beside SPEC [--set NAME=VALUE] [--rows 8] [--length 2048] [--rounds 6] [--steps 2]

Both are compiled and have float32 masters. The plain version is compiled whole, makes all logits at once, and has Muon
a matrix at a time and torch's fused AdamW. Of `nanochat_2025` it is written by hand and computes under autocast; of
any other spec it is the source that the spec compiles to, as one graph; the optimizer of `nanochat_2026` does more than
the plain one. Weights and the first batch are the same, and so must be the first loss. What does not fit the memory is
tried at half the rows.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain import Plain, PlainMuon, by_plain_names
from benchmarks.plain import Sizes as PlainSizes
from nanogen.compiler import Compiled, compile_file
from nanogen.shelf import find
from runtime.device import Machine, be_deterministic, describe, machine
from runtime.faults import is_out_of_memory
from runtime.model import build
from runtime.primitives import Now
from runtime.training import Trainer
from stages.benching.child import trainer_of
from stages.benching.decoding import enliven
from stages.benching.order import Order, Sizes
from stages.benching.records import commit

OPTIMIZERS = {"nanochat_2026": "muon_adamw_2026"}
HAND_WRITTEN = "nanochat_2025"
EQUAL = 0.02  # nats that two ways of rounding may be apart
WARM = 2  # steps of each that are not counted
RATE, MOMENTUM = 1e-3, 0.95

Step = Callable[[Tensor, Tensor], float]


def plain_step(compiled: Compiled, ours: Trainer, chosen: Machine, length: int) -> Step:
    """The same model and the like optimizer, without anything of ours around them."""
    loss_of, matrices, others = _plain_model(compiled, ours.model, chosen, length)
    adamw = torch.optim.AdamW(
        others, lr=RATE, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=chosen.device != "mps"
    )
    muon = PlainMuon(matrices, RATE, MOMENTUM)

    def step(inputs: Tensor, targets: Tensor) -> float:
        loss = loss_of(inputs, targets)
        loss.backward()
        adamw.step()
        muon.step()
        adamw.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def _plain_model(
    compiled: Compiled, ours: nn.Module, chosen: Machine, length: int
) -> tuple[Callable[[Tensor, Tensor], Tensor], list[Tensor], list[Tensor]]:
    """Its loss, the matrices that Muon moves, and all else."""
    roles = {p["path"]: p["role"] for p in compiled.blueprint["parameters"]}
    if compiled.name == HAND_WRITTEN:
        dims: dict[str, Any] = compiled.graph.dims
        sizes = PlainSizes(dims["depth"], dims["width"], dims["heads"], dims["vocab"], length)
        with torch.device(chosen.device):
            plain: Any = Plain(sizes)
        weights = by_plain_names(ours)
        inside = {name: "matrix" if "blocks" in name else "" for name in weights}
        called = torch.compile(plain, dynamic=False)
        wide = torch.autocast(chosen.device, chosen.torch_dtype, enabled=chosen.dtype != "float32")

        def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
            with wide:
                return called(inputs, targets)
    else:
        plain = build(compiled.source, compiled.blueprint, device=chosen.device)
        weights, inside = dict(ours.named_parameters()), roles

        @partial(torch.compile, dynamic=False)
        def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
            logits = plain(inputs, Now.start(inputs, chosen.torch_dtype, training=True))
            return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-1)

    with torch.no_grad():
        for name, p in plain.named_parameters():
            p.copy_(weights[name])
    moved = {name: inside[name] == "matrix" and p.ndim == 2 for name, p in plain.named_parameters()}
    named = dict(plain.named_parameters())
    return loss_of, [named[n] for n in named if moved[n]], [named[n] for n in named if not moved[n]]


def measure(spec: str, overrides: dict[str, Any], rows: int, options: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second of both, in turn."""
    compiled = compile_file(find(spec, "model"), overrides, name=spec)
    length = min(options.length, compiled.graph.context)
    chosen = machine()
    path, optimizer = str(find(spec, "model").resolve()), OPTIMIZERS.get(spec, "muon_adamw_2025")
    order = Order("train", path, overrides, rows, length, Sizes(), optimizer)
    ours = trainer_of(order, compiled, chosen)
    enliven(ours.model, chosen.device)  # as they begin, the losses of all models are alike
    steps: dict[str, Step] = {
        "plain": plain_step(compiled, ours, chosen, length),
        "ours": lambda inputs, targets: ours.learn([(inputs, targets)]).loss,
    }
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(compiled.graph.vocab, (rows, length + 1), generator=draws).to(chosen.device)
    batch = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    first, losses, passing = {}, {}, {}
    for name, step in steps.items():
        begun = time.perf_counter()
        losses[name] = step(*batch)
        first[name] = time.perf_counter() - begun
        passing[name] = _passing(chosen, partial(step, *batch))
    assert abs(losses["plain"] - losses["ours"]) < EQUAL, f"the first losses are {losses}"
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds):
        for name in steps if number % 2 else reversed(steps):
            begun = time.perf_counter()
            for _ in range(options.steps):
                steps[name](*batch)  # it ends with a number that the device has made
            seconds[name].append((time.perf_counter() - begun) / options.steps)
    medians = {name: rows * length / statistics.median(times) for name, times in seconds.items()}
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    return {
        "device": describe().get("gpu") if chosen.device == "cuda" else chosen.device,
        "dtype": chosen.dtype,
        "plain_is": "written by hand" if spec == HAND_WRITTEN else "the emitted source, compiled whole",
        "rows": rows,
        "length": length,
        "tokens_per_second": medians,
        "times": statistics.median(ratios),
        "of_rounds": [min(ratios), max(ratios)],
        "first_step_seconds": first,
        "passing_bytes": passing,
        "losses": losses,
    }


def _passing(chosen: Machine, step: Callable[[], float]) -> int | None:
    """Bytes that steps need at most beside what stays, where the device counts them."""
    if chosen.device != "cuda":
        step()
        return None
    for _ in range(WARM):
        step()
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    for name, value in (("rows", 8), ("length", 2048), ("rounds", 6), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    overrides = {name: json.loads(value) for name, _, value in (s.partition("=") for s in options.set)}
    be_deterministic()
    rows, found = options.rows, None
    while found is None:
        try:
            found = measure(options.spec, overrides, rows, options)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or rows == 1:
                raise
        if found is None:
            rows //= 2
            gc.collect()
            torch.compiler.reset()
            torch.cuda.empty_cache()
    print(
        json.dumps({"what": "beside", "commit": commit(), "spec": options.spec, "dims": overrides, **found})
    )


if __name__ == "__main__":
    main()
