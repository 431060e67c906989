"""How many bytes of tensors are alive, and were at most: torch counts that for accelerators only."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Follow every storage that operations inside give back, until it is freed, and those of `given`."""

    def __init__(self, given: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()
        for tensor in given:
            self.meet(tensor)

    def meet(self, tensor: Tensor) -> None:
        storage: Any = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.part, storage._cdata, storage.nbytes())

    def part(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.meet(leaf)
        return result
