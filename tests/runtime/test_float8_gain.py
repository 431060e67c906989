"""A probe times a real layer both ways in turn, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nanogen.compiler import Compiled, compile_file
from runtime import float8_gain
from runtime.float8 import Float8Linear
from runtime.float8_gain import TIMES, WARM, call_of, gain, largest_layer, there_and_back
from runtime.model import build, initialize
from runtime.optimizer import Entry, Optimizer
from runtime.primitives import Linear
from runtime.schedule import Schedule
from runtime.training import Trainer
from tests.rules import rules

SPECS = Path(__file__).parents[2] / "specs"
SIZES = {"depth": 2, "width": 128, "heads": 2, "vocab": 256, "context": 32}
LOOPED = {"width": 128, "vocab": 256, "context": 32}


def trainer_of(name: str = "nanochat_2025", sizes: dict[str, Any] = SIZES) -> Trainer:
    compiled: Compiled = compile_file(SPECS / f"{name}.toml", sizes)
    blueprint = compiled.blueprint
    model = build(compiled.source, blueprint)
    initialize(model, blueprint, seed=1)
    tensors: dict[str, Any] = dict(model.named_parameters())
    entries = [Entry(p["path"], p["role"], tensors[p["path"]]) for p in blueprint["parameters"]]
    trainer = Trainer(
        model=model,
        optimizer=Optimizer(entries, rules(128), dtype="float32"),
        schedule=Schedule(4, rate=lambda _: 1.0, momentum_at=lambda _: 0.9),
        loader=None,
        accumulation=1,
        dtype=torch.bfloat16,
        device="cpu",
        compiled=False,
        regions=blueprint["regions"],
        large=blueprint["float8"],
        dials=blueprint["dials"],
        draws=blueprint["draws"],
        ending=blueprint["ending"],
    )
    trainer.use_float8()
    return trainer


class Clock:
    """Time that passes by what a pass takes: `float8` in 8 bits and `plain` otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plain: float, float8: float) -> None:
        self.now, self.passes = 0.0, list[bool]()

        def passing(region: nn.Module, call: Any, switch: Any) -> None:
            self.passes.append(switch is not None)
            self.now += float8 if switch is not None else plain

        monkeypatch.setattr(float8_gain, "there_and_back", passing)

    def __call__(self) -> float:
        return self.now


def test_both_ways_are_timed_in_turn(monkeypatch):
    clock = Clock(monkeypatch, plain=3.0, float8=2.0)
    found = gain(trainer_of(), vocab=256, rows=2, length=32, clock=clock)
    assert (found.path, found.plain, found.float8, found.times) == ("trunk.0", 3.0, 2.0, 1.5)
    assert clock.passes == [False, True] * (WARM + TIMES)


def test_a_real_layer_is_timed():
    trainer = trainer_of()
    found = gain(trainer, vocab=256, rows=2, length=32)
    assert min(found.plain, found.float8) > 0
    assert trainer.float8 is not None
    assert not trainer.float8.on
    assert all(p.grad is None for p in trainer.model.parameters())


def test_the_layer_is_met_as_training_meets_it():
    """With what the embedding and the layers before it make of ids, and a hook that is gone again."""
    trainer = trainer_of()
    region = trainer.model.get_submodule("trunk.1")
    (x, *_), _ = call_of(trainer, region, vocab=256, rows=3, length=20)
    assert (x.shape, x.dtype) == ((3, 20, 128), torch.bfloat16)
    assert len(x.unique()) > 1000
    assert not region._forward_pre_hooks
    assert torch.equal(call_of(trainer, region, vocab=256, rows=3, length=20)[0][0], x)


def test_a_pass_goes_forward_and_back_by_the_switch(monkeypatch):
    trainer = trainer_of()
    region = trainer.model.get_submodule("trunk.0")
    call = call_of(trainer, region, vocab=256, rows=1, length=16)
    made, plain = [], torch._scaled_mm  # pyright: ignore[reportPrivateImportUsage]
    monkeypatch.setattr(torch, "_scaled_mm", lambda *args, **more: made.append(1) or plain(*args, **more))
    there_and_back(region, call, None)
    assert made == []
    there_and_back(region, call, trainer.float8)
    assert len(made) == 3 * sum(isinstance(m, Float8Linear) for m in region.modules())


@pytest.mark.parametrize("name", ["looped", "trelis_recursive"])
def test_turns_and_layers_of_loops_can_be_timed_too(name):
    trainer = trainer_of(name, LOOPED)
    path = largest_layer(trainer.model, trainer.regions, trainer.large)
    region = trainer.model.get_submodule(path)
    there_and_back(region, call_of(trainer, region, vocab=256, rows=2, length=16), trainer.float8)


def test_the_largest_layer_has_most_weights_in_such_maps():
    model = nn.ModuleDict(
        {
            "a": nn.ModuleDict({"up": Linear(128, 128), "other": Linear(900, 900)}),
            "b": nn.ModuleDict({"up": Linear(128, 256)}),
            "c": nn.ModuleDict({"up": Linear(128, 256)}),
        }
    )
    assert largest_layer(model, ["a", "b", "c"], ["a.up", "b.up", "c.up"]) == "b"


def layers(trainer: Trainer) -> Iterator[nn.Module]:
    return (module for path in trainer.regions for module in [trainer.model.get_submodule(path)])


def test_a_layer_that_is_compiled_is_timed_compiled(monkeypatch):
    """As the trainer compiled it: the region is called, not its code."""
    trainer, called = trainer_of(), []
    for layer in layers(trainer):
        plain = layer.forward
        monkeypatch.setattr(layer, "forward", lambda *a, plain=plain: called.append(1) or plain(*a))
    gain(trainer, vocab=256, rows=1, length=16)
    assert len(called) == 2 * (WARM + TIMES)
