"""Try a real step, and leave no trace of it: what a device takes at its peak, told before anything is learnt.

    with undone(trainer), Peak(device) as peak:
        try_step(trainer, length=2048, vocab=65_536)
    peak.bytes

While it is tried, weights (and what the optimizer keeps, where that is no longer all zeros) have a copy in the host's
memory, from which they are put back: the same bits, and no second copy on the device. Knows nothing of stages, nor of
what is predicted.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from attrs import define
from torch import Tensor

from runtime.batches import Batch
from runtime.decoding.engine import Engine
from runtime.decoding.request import Request, Sampling
from runtime.dials import Declared, Dials
from runtime.finite import NotFinite
from runtime.losses import measure
from runtime.sharded import ShardedOptimizer
from runtime.training import Trainer

PRIME = 7919  # ids that are tried are its multiples: many different ones, and always the same
LAST_TOKENS = 2  # of an answer that is tried
LARGEST_AT_ONCE = 2  # micro-batches: in the second the gradients of the first are there


@contextmanager
def undone(trainer: Trainer) -> Iterator[None]:
    """Whatever is done within to weights, optimizer, gradients, the number of the step and torch's random numbers is undone."""
    optimizer = trainer.optimizer
    weights = _copied(trainer.held())
    state = _copied(optimizer.kept(), fresh=trainer.step == 0)
    step, met = trainer.step, getattr(optimizer, "met", None)
    devices = [torch.cuda.current_device()] if trainer.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            optimizer.zero_grad()
            _put_back(trainer.held(), weights)
            _put_back(optimizer.kept(), state)
            trainer.step = step
            if isinstance(optimizer, ShardedOptimizer) and met is not None:
                optimizer.met = met


def _copied(tensors: Mapping[str, Tensor], *, fresh: bool = False) -> dict[str, Tensor | None]:
    """Copies in the host's memory; of a fresh optimizer None stands for the zeros that it starts with."""
    return {
        name: None if fresh and not tensor.any() else tensor.detach().to("cpu", copy=True)
        for name, tensor in tensors.items()
    }


@torch.no_grad()
def _put_back(tensors: Mapping[str, Tensor], copies: Mapping[str, Tensor | None]) -> None:
    for name, tensor in tensors.items():
        copy = copies[name]
        if copy is None:
            tensor.zero_()
        else:
            tensor.copy_(copy)


def try_step(trainer: Trainer, *, length: int, vocab: int) -> None:
    """One real optimizer step of full rows, with dials as far up as they are drawn; of micro-batches no more than two."""
    share = list(trainer.share().items())[:LARGEST_AT_ONCE]
    batches = [full_batch(len(range(trainer.rows)[rows]), length, vocab) for _, rows in share]
    learn(trainer, batches, micros=[micro for micro, _ in share])


def try_policy_step(trainer: Trainer, *, rows: int, length: int, vocab: int) -> None:
    """The same of answers, which have weights: two micro-batches of the longest."""
    batches = [full_batch(rows, length, vocab) for _ in range(LARGEST_AT_ONCE)]
    learn(trainer, batches, weights=[torch.ones(rows, length) for _ in batches])


def learn(trainer: Trainer, batches: list[Batch], **named: Any) -> None:
    """A step that is tried: what it learns from was made up, and proves nothing where it has no loss."""
    try:
        trainer.learn(batches, dials=most_of(trainer.dials), **named)
    except NotFinite:
        if trainer.ranks.count > 1:  # the others are past this one
            raise


def try_evaluation(trainer: Trainer, *, rows: int, length: int, vocab: int) -> None:
    """One batch of an evaluation."""
    sizes = torch.ones(vocab, dtype=torch.int64, device=trainer.device)
    measure(trainer.losses, [trainer.move(full_batch(rows, length, vocab))], sizes)


def try_answers(engine: Engine, *, rows: int, length: int, vocab: int, dials: Declared) -> None:
    """Rows of answers at the end of the longest ones, where all that they have seen is kept."""
    prompt = tuple(number * PRIME % vocab for number in range(max(1, length - LAST_TOKENS)))
    engine.submit(Request(prompt, LAST_TOKENS, Sampling(top_k=2), rows, dials=most_of(dials)))
    while engine.busy:
        engine.step()


def full_batch(rows: int, length: int, vocab: int) -> Batch:
    """Rows in which every position counts."""
    ids = (torch.arange(rows * (length + 1)) * PRIME % vocab).view(rows, length + 1)
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def most_of(declared: Declared) -> Dials:
    """Where training puts each dial at most."""
    return {
        name: dial["default"]
        if dial["train"] is None or dial["train"]["draw"] == "fixed"
        else dial["train"]["max"]
        for name, dial in declared.items()
    }


# -- what it takes


@define(eq=False)
class Peak:
    """The most memory of a device that was taken within, beside `held` bytes that were there; None where nothing tells.

    On CUDA as torch's allocator counts it, all that was there included; on MPS what the driver gave out by the end;
    of a CPU what the process grew by, where Linux tells, and `held`: code that is loaded or compiled meanwhile counts,
    so what is measured there is to have been done before.
    """

    device: str
    held: int = 0
    bytes: int | None = None
    _before: int | None = None

    def __enter__(self) -> Peak:
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()
        elif self.device == "cpu":
            self._before = _resident()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
            self.bytes = torch.cuda.max_memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        elif self.device == "mps":
            self.bytes = torch.mps.driver_allocated_memory()
        elif self._before is not None:
            most = _status("VmHWM")
            self.bytes = None if most is None else max(0, most - self._before) + self.held


def _resident() -> int | None:
    """What the process has now, from where on its most is counted anew; what is free has gone back to the system."""
    gc.collect()
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if give_back is not None:
        give_back(0)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> int | None:
    if not os.path.exists("/proc/self/status"):
        return None
    with open("/proc/self/status") as file:
        found = next((line for line in file if line.startswith(f"{name}:")), None)
    return int(found.split()[1]) * 1024 if found is not None else None


def memory_of(device: str) -> tuple[int, int] | None:
    """Bytes that are free on a device, and all of them; None where torch does not tell."""
    return torch.cuda.mem_get_info() if device.startswith("cuda") else None
