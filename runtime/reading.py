"""The passes of a model that scoring is made of: ids are read for what the past keeps of them, or on to logits.

A pass that reads ends where the past holds all that it keeps: what comes after that serves logits alone (of the last
layer, all but its keys and values). Reading one long row may be compiled; a compiler leaves out the same by itself.
Knows nothing of questions.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from runtime.attention import Attend, attend_at_end
from runtime.decoding.past import Past
from runtime.dials import Dials
from runtime.model import Blueprint
from runtime.primitives import Now
from runtime.regions import VARIANTS

# B rows, T positions, V ids


class Pool:
    """Memory for one past after the other. To free it each time would leave holes that the next does not fit."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._given = 0

    def rewind(self) -> None:
        """Give the same memory again."""
        self._given = 0

    def zeros(self, *shape: int, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """Memory of that shape: zeros, or what was left there."""
        size = math.prod(shape)
        if self._given == len(self._blocks):
            self._blocks.append(torch.empty(0, dtype=dtype, device=device))
        block = self._blocks[self._given]
        if block.numel() < size or block.dtype != dtype:
            # the old one goes first
            self._blocks[self._given] = block = torch.empty(0, dtype=dtype, device=device)
            self._blocks[self._given] = block = torch.zeros(size * 5 // 4, dtype=dtype, device=device)
        self._given += 1
        return block[:size].view(shape)


@define(eq=False)
class Reader:
    """A model that reads; `dials` says where it stands."""

    model: nn.Module
    blueprint: Blueprint
    dtype: torch.dtype = torch.float32
    dials: Dials = field(factory=dict)
    device: torch.device = field(init=False)
    # whether logits are made of values at their own position alone, and can be made for some positions
    _apart: bool = field(init=False)
    _layers: Callable[..., Any] = field(init=False)
    _writes: int = field(init=False, default=0)  # to the past, of one pass
    _pool: Pool = field(init=False, factory=Pool)
    _compiled: Callable[..., None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.device = next(self.model.parameters()).device
        model: Any = self.model
        logits = getattr(model, "_logits", None)
        self._apart = logits is not None and "now" not in inspect.signature(logits).parameters
        self._layers = model._layers if self._apart else model
        with torch.no_grad():
            self._writes = self._count_writes()

    def past(self, rows: int, capacity: int) -> Past:
        """An empty past; what an earlier one held at places of its own is left there, for a mask hides it."""
        self._pool.rewind()
        past = Past(
            self.blueprint, rows, capacity, self.dtype, self.device, self.dials, make=self._pool.zeros
        )
        for leaf, whole in past.leaves():
            if not whole:
                leaf.zero_()
        return past

    def read(self, past: Past, rows: tuple[int, int], start: int, ids: Tensor) -> None:
        """Read ids (B, T) from position `start` on for what these rows of a past keep of them."""
        end = start + ids.shape[1]
        view = past.between(*rows, end)
        ids, positions = ids.to(self.device), torch.arange(start, end, device=self.device)[None]
        # one row, for several would be other code, and so would be a single position
        if self._compiled is not None and len(ids) == 1 and ids.shape[1] > 1:
            one = ids[0][
                None
            ]  # with the steps of its own length, and not of the longer row that it is cut from
            return self._compiled(one, positions, view)
        try:
            with _Until(past, self._writes):
                self.model(ids, self._now(ids, positions, view, attend_at_end))
        except _Kept:
            pass

    def layers(self, ids: Tensor, positions: Tensor, view: Any) -> Any:
        """What logits are made of, or all logits where a model's do not come apart."""
        return self._layers(ids, self._now(ids, positions, view))

    def logits(self, made: Any, rows: Tensor, places: Tensor) -> Tensor:
        """Logits (N, V) in float32 at some rows and places of what `layers` made."""
        if not self._apart:
            return made[rows, places].float()
        model: Any = self.model
        return model._logits(*(_picked(part, rows, places) for part in made))[0].float()

    @property
    def compiled(self) -> bool:
        return self._compiled is not None

    @torch.no_grad()
    def compile(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile the reading of one row, for any number of positions after any number of others."""
        torch._dynamo.config.recompile_limit = VARIANTS
        # else tables that are rounded to bfloat16 would not be, and figures differ
        options: Any = {"emulate_precision_casts": True} if backend == "inductor" else None
        compiled = torch.compile(self._keep, fullgraph=True, backend=backend, options=options)
        # a first pass in which no two sizes are alike: a compiler takes those for one
        ids, positions = torch.zeros(1, 3, dtype=torch.int64), torch.arange(4, 7)[None]
        past = Past(self.blueprint, 2, 11, self.dtype, self.device, self.dials)
        given = ids.to(self.device), positions.to(self.device), past.between(0, 1, 7)
        for tensor in tree_leaves(given):
            torch._dynamo.maybe_mark_dynamic(tensor, 1)
        compiled(*given)
        self._compiled = compiled

    def _keep(self, ids: Tensor, positions: Tensor, view: Any) -> None:
        self._layers(ids, self._now(ids, positions, view, attend_at_end))

    def _now(self, ids: Tensor, positions: Tensor, past: Any, at_end: Attend | None = None) -> Now:
        rows = torch.zeros_like(ids[:, :1])  # what a model draws follows from the positions alone
        return Now.start(ids, self.dtype, positions, past, self.dials, rows=rows, at_end=at_end)

    def _count_writes(self) -> int:
        past = Past(self.blueprint, 1, 2, self.dtype, self.device, self.dials)
        ids = torch.zeros(1, 2, dtype=torch.int64, device=self.device)
        before = _versions(past)
        positions = torch.arange(2, device=self.device)[None]
        self.model(ids, self._now(ids, positions, past.tree, attend_at_end))
        return _versions(past) - before


def _picked(made: Any, rows: Tensor, places: Tensor) -> Any:
    """Values (B, T, ..) at some rows and places, as (1, N, ..); in whatever they are kept."""
    if isinstance(made, dict):
        return {name: _picked(part, rows, places) for name, part in made.items()}
    return made[rows, places][None] if isinstance(made, Tensor) and made.ndim > 1 else made


class _Kept(Exception):
    """The past holds all that a pass keeps."""


class _Until(TorchFunctionMode):
    """Ends a pass once it has written to the past as often as a whole one does."""

    def __init__(self, past: Past, writes: int):
        super().__init__()
        self._leaves = [leaf for leaf, _ in past.leaves()]
        self._end = _versions(past) + writes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if sum(leaf._version for leaf in self._leaves) == self._end:
            raise _Kept
        return func(*args, **(kwargs or {}))


def _versions(past: Past) -> int:
    """How often the past has been written to."""
    return sum(leaf._version for leaf, _ in past.leaves())
