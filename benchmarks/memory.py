"""Memory of pretraining as it is predicted, beside an allocation trace of it, on a CPU.

    python -m benchmarks.memory

Four specs, made small. A trace follows every storage of a tensor from its making to its end while two steps of two
micro-batches are made, eagerly: at its highest that is the peak; what forward leaves for backward (and of the loss its gradients, which it makes at once), and what the
optimizer keeps, are read off between. Predicted are the lines of the ledger by which `nanogen plan` settles rows.
The aims: the peak within 10%, each part within 5%. "kept, compiled" is what layers leave for backward where torch's
compiler cuts one from the other and attention is in blocks: no more than predicted, and less where the compiler makes
again what eager code keeps, as wide copies in bfloat16 and products of convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen

from nanogen.answers.memory import ledger
from nanogen.answers.parameters import count, parameters
from nanogen.compiler import Compiled, compile_file
from nanogen.load import Load
from nanogen.shelf import find
from nanogen.structure import Count
from runtime import optimizer_memory
from runtime.attention_memory import attention
from runtime.losses import token_losses
from runtime.model import build, initialize
from runtime.primitives import Now
from runtime.regions import compile_regions
from stages.pretrain import Settings
from stages.training import recipe
from stages.training.footprint import MicroBatch
from tests.live_bytes import LiveBytes

SPECS: dict[str, tuple[str, dict[str, Any]]] = {  # each with its optimizer, and the dims that make it small
    "nanochat_2025": (
        "muon_adamw_2025",
        {"depth": 4, "width": 256, "heads": 2, "vocab": 4096, "context": 256},
    ),
    "nanochat_2026": (
        "muon_adamw_2026",
        {"depth": 4, "width": 256, "head_dim": 128, "vocab": 4096, "context": 256},
    ),
    "saint_iberis_tiny": ("muon_adamw_2025", {}),
    "looped": ("muon_adamw_looped", {"width": 256, "heads": 2, "vocab": 4096, "context": 256}),
}
ROWS, MICRO_BATCHES, STEPS = 8, 2, 2


@frozen
class Part:
    """Bytes of one line, or a number of parameters."""

    name: str
    predicted: float
    measured: float
    aim: float
    bound: bool = False  # more may be predicted

    @property
    def ratio(self) -> float:
        return self.predicted / self.measured

    @property
    def missed(self) -> bool:
        return abs(self.ratio - 1) > self.aim and not (self.bound and self.ratio > 1)


def main() -> None:
    print(
        f"{'spec':<18} {'dtype':<9} {'part':<16} {'predicted':>13} {'measured':>13} {'ratio':>7} {'aim':>5}"
    )
    for name, (optimizer, dims) in SPECS.items():
        compiled = compile_file(find(name, "model"), dims)
        for dtype in (torch.float32, torch.bfloat16):
            for part in parts(compiled, optimizer, dtype):
                kept = "  missed" if part.missed else ""
                print(
                    f"{name:<18} {str(dtype)[6:]:<9} {part.name:<16} {part.predicted:>13,.0f} "
                    f"{part.measured:>13,.0f} {part.ratio:>7.3f} {part.aim:>5.0%}{kept}",
                    flush=True,
                )


def parts(compiled: Compiled, optimizer: str, dtype: torch.dtype) -> list[Part]:
    """Predict and measure a model."""
    tokens = compiled.graph.context
    step = MicroBatch(Load(ROWS, tokens), MICRO_BATCHES)
    found, real = step.ledger(compiled, dtype.itemsize), measure(compiled, optimizer, dtype, tokens)
    # the head's copy in the run's dtype went with the loss, which left its gradients
    head = sum(p.parameter.count for p in parameters(compiled.graph) if p.parameter.role == "head")
    left = found.activations + found.casts + found.ending - head * dtype.itemsize * (dtype.itemsize < 4)
    return [
        Part("parameters", count(compiled.graph), real.weights / 4, 0.05),
        Part("optimizer state", found.optimizer, real.optimizer, 0.05),
        Part("activations", left, real.forward, 0.05),
        Part("peak", found.total, real.peak, 0.10),
        Part("kept, compiled", _in_blocks(compiled, dtype), kept_compiled(compiled, dtype, ROWS), 0.05, True),
    ]


def _in_blocks(compiled: Compiled, dtype: torch.dtype) -> int:
    load = Load(ROWS, compiled.graph.context, attention=attention("cpu", compiled=True))
    return ledger(compiled.graph, load, dtype.itemsize, optimizer_memory).activations


def kept_compiled(compiled: Compiled, dtype: torch.dtype, rows: int) -> int:
    """Bytes that the layers' forward pass hands to backward, compiled up to where kernels would be made."""
    torch.compiler.reset()
    model: Any = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    compile_regions(model, compiled.blueprint["regions"], "aot_eager_decomp_partition")
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    ids = torch.arange(rows * compiled.graph.context).view(rows, -1) % 7
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage: Any = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        left = model._layers(ids, Now.start(ids, dtype, training=True))
    del left
    return sum(kept.values())


@frozen
class Measured:
    """Bytes that were alive."""

    weights: int
    optimizer: int
    forward: int  # that a forward pass left for its backward, casts of weights and the loss's included
    peak: int


def measure(compiled: Compiled, optimizer: str, dtype: torch.dtype, tokens: int) -> Measured:
    """Train a few steps as `pretrain` does, and follow every tensor."""
    settings = Settings(
        optimizer=recipe.opened(optimizer), steps=100, batch_tokens=Count(tokens * ROWS * MICRO_BATCHES)
    )  # pyright: ignore[reportArgumentType]
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    mover = recipe.settle(settings, compiled).optimizer(model, str(dtype).removeprefix("torch."))
    losses = token_losses(model, dtype, ending=compiled.blueprint["ending"])
    share = torch.full((ROWS, tokens), 1 / (ROWS * tokens * MICRO_BATCHES))
    ids = torch.arange(ROWS * tokens).view(ROWS, tokens) % 7
    live = LiveBytes(model.parameters())
    weights = live.now
    for tensor in mover.state().values():
        live.meet(tensor)
    live.meet(ids)
    fixed, forward = live.now, 0
    with live:
        for _ in range(STEPS):
            for _ in range(MICRO_BATCHES):
                before = live.now
                loss = losses(ids, ids, weights=share).sum()
                forward = live.now - before
                loss.backward()
                del loss
            mover.step(1.0, 0.95)
            mover.zero_grad()
    inputs = ids.untyped_storage().nbytes()
    return Measured(weights, fixed - weights - inputs, forward, live.peak - inputs)


if __name__ == "__main__":
    main()
