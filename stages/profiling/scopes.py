"""Mark what a trainer does in torch's traces, by hooks and wrappers: the emitted source stays as it is.

Eager code is marked down to the equations of a layer. What is compiled is one region, and marked as a whole: a hook
within would be compiled too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from attrs import define, field
from torch import nn
from torch.autograd.profiler import record_function

from runtime import primitives
from stages.profiling.events import FORWARD, LAYERS, LOADER, OPTIMIZER, PLACE
from stages.profiling.table import Calls

if TYPE_CHECKING:
    from runtime.training import Trainer


@define
class Scopes:
    """What is marked of one trainer. `calls` counts modules by path since it was last cleared."""

    calls: dict[str, Calls] = field(factory=dict, init=False)
    passes: int = field(default=0, init=False)  # of the whole model
    _behind: bool = field(default=False, init=False)  # the layers of this pass are through
    _open: list[Any] = field(factory=list, init=False)

    def mark(self, trainer: Trainer) -> None:
        """Mark a trainer for good, before its first step."""
        for path, module in marked(trainer.model, trainer.regions if trainer.compiled else None):
            module.register_forward_pre_hook(self._enters(path))
            module.register_forward_hook(self._leaves, always_call=True)
        model: Any = trainer.model
        if hasattr(model, "_layers"):
            model._layers = named(LAYERS, model._layers, after=self._are_through)
        trainer.losses = named(FORWARD, trainer.losses, after=self._passed)
        optimizer: Any = trainer.optimizer
        optimizer.step = named(OPTIMIZER, optimizer.step)
        if trainer.loader is not None:
            marked_loader: Any = Marked(trainer.loader)
            trainer.loader = marked_loader

    def clear(self) -> None:
        """Count from here on."""
        self.calls.clear()
        self.passes = 0

    def _are_through(self) -> None:
        self._behind = True

    def _passed(self) -> None:
        self._behind, self.passes = False, self.passes + 1

    def _enters(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, inputs: Any) -> None:
            counted = self.calls.setdefault(path, Calls())
            counted.forward += 1
            counted.backward += torch.is_grad_enabled()
            counted.behind = self._behind
            scope = record_function(PLACE + path)
            scope.__enter__()
            self._open.append(scope)

        return enter

    def _leaves(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._open.pop().__exit__(None, None, None)


def marked(model: nn.Module, regions: Any) -> Iterator[tuple[str, nn.Module]]:
    """Modules with their paths. Of eager code (`regions` is None) all that equations call; else the regions, and
    tables: nothing else is sure to be called from outside of compiled code.
    """
    if regions is not None:
        yield from ((path, model.get_submodule(path)) for path in regions)
        inside = tuple(f"{path}." for path in regions)
        for path, module in model.named_modules():
            if isinstance(module, primitives.Embedding) and not path.startswith(inside):
                yield path, module
        return
    for path, module in model.named_modules():
        if path and not isinstance(module, nn.ModuleList):
            yield path, module


def nothing() -> None:
    pass


def named(
    name: str, function: Callable[..., Any], *, after: Callable[[], None] = nothing
) -> Callable[..., Any]:
    """A function as it is, in a scope; `after` is called behind it."""

    def within(*args: Any, **options: Any) -> Any:
        with record_function(name):
            found = function(*args, **options)
        after()
        return found

    return within


@define(eq=False)
class Marked:
    """A loader whose work stands in traces."""

    loader: Any

    def __iter__(self) -> Marked:
        return self

    def __next__(self) -> Any:
        with record_function(LOADER):
            return next(self.loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
