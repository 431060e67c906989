"""What 8-bit products gain on this device: one real layer of a model, forward and backward, timed both ways in turn.

The layer is met as training meets it: with the values that reach it from a batch of random ids, compiled where
training is. No gradient of a parameter is left behind, and no weight moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from runtime.float8 import Switch

if TYPE_CHECKING:
    from runtime.training import Trainer

WARM, TIMES = 3, 20  # passes before the first that counts, where code is compiled; and those that count

Call = tuple[tuple[Any, ...], dict[str, Any]]


@frozen
class Gain:
    """Seconds of the layer at `path`, forward and backward: the median over many passes."""

    path: str
    plain: float
    float8: float

    @property
    def times(self) -> float:
        """How many times as fast it is."""
        return self.plain / self.float8


def gain(
    trainer: Trainer, *, vocab: int, rows: int, length: int, clock: Callable[[], float] = time.perf_counter
) -> Gain:
    """Time the layer whose large maps have most weights; the trainer's switch must be there, and is off again after."""
    switch, path = trainer.float8, largest_layer(trainer.model, trainer.regions, trainer.large)
    assert switch is not None, "the maps are made ready first"
    region = trainer.model.get_submodule(path)
    call = call_of(trainer, region, vocab=vocab, rows=rows, length=length)
    timed: dict[bool, list[float]] = {False: [], True: []}
    for count in range(WARM + TIMES):
        for on in timed:  # in turn: what else goes on here meets both
            _wait(trainer.device)
            begun = clock()
            there_and_back(region, call, switch if on else None)
            _wait(trainer.device)
            if count >= WARM:
                timed[on].append(clock() - begun)
    return Gain(path, median(timed[False]), median(timed[True]))


def largest_layer(model: nn.Module, regions: Sequence[str], large: Sequence[str]) -> str:
    """The region whose maps have most weights, the first of equals."""

    def weights(region: str) -> int:
        maps = (path for path in large if path.startswith(f"{region}."))
        return sum(int(model.get_parameter(f"{path}.weight").numel()) for path in maps)

    return max(regions, key=weights)


class _Met(Exception):
    """A layer was called; the rest of the model is not wanted."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


def call_of(trainer: Trainer, region: nn.Module, *, vocab: int, rows: int, length: int) -> Call:
    """What a layer is called with in training."""
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(vocab, (rows, length), generator=draws).to(trainer.device)
    dials = {name: dial["default"] for name, dial in trainer.dials.items()}

    def meet(_: nn.Module, args: tuple[Any, ...], known: dict[str, Any]) -> None:
        raise _Met((args, known))

    hook = region.register_forward_pre_hook(meet, with_kwargs=True)
    try:
        trainer.losses(ids, ids, *trainer.seeds(0), dials=dials)
    except _Met as met:
        return met.call
    finally:
        hook.remove()
    raise AssertionError("every region is called in a forward pass")


def there_and_back(region: nn.Module, call: Call, switch: Switch | None) -> None:
    """One pass forward and backward, in 8 bits where there is a switch to turn."""
    args, known = tree_map(_leaf, call)
    if switch is not None:
        with switch.turned_on():
            found = region(*args, **known)
    else:
        found = region(*args, **known)
    left = [t for t in tree_flatten(found)[0] if isinstance(t, Tensor) and t.requires_grad]
    entered = [t for t in tree_flatten((args, known))[0] if isinstance(t, Tensor) and t.requires_grad]
    wanted = [*entered, *(p for p in region.parameters() if p.requires_grad)]
    torch.autograd.grad(left, wanted, [torch.ones_like(t) for t in left], allow_unused=True)


def _leaf(value: Any) -> Any:
    """A value that gradients come to, cut off from where it came."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.detach().requires_grad_()
    return value


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
