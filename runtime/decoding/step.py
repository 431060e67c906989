"""One new token for each of some rows: the model's forward pass over the kept past, compiled where asked.

A model of few layers is compiled whole, for there the calls between regions are a tenth of a step. Otherwise layers of
one kind and all turns of a loop share their code. Either serves one row, or any number of rows, and any number of
positions. On CUDA the pass is recorded as a graph for a few of these numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch._inductor.config as inductor
from attrs import define, field
from torch import Tensor, nn

from runtime.decoding.past import Past
from runtime.decoding.prepack import hold_weights
from runtime.dials import Dials
from runtime.model import Blueprint
from runtime.primitives import Now
from runtime.regions import VARIANTS

SPAN = 16  # on CPU a step reads this many positions at a time, up to the last that a row has seen
LEAST_SPAN = 256  # on CUDA it reads this many, or twice, four times .. as many
CHUNK = (
    4096  # elements that are worth a thread: of a single token, the compiler's 512 cost more than they bring
)
WHOLE = 8  # layers of a model that is compiled whole: more take a compiler too long

# B rows, V ids

_known: WeakKeyDictionary[nn.Module, Compiled] = WeakKeyDictionary()


def compile_steps(model: nn.Module, blueprint: Blueprint) -> Compiled:
    """Compile a model's regions for steps, once."""
    if model not in _known:
        _known[model] = Compiled(model, blueprint)
    return _known[model]


class Compiled:
    """A model that is compiled for steps. Whatever else runs the model runs it as before."""

    def __init__(self, model: nn.Module, blueprint: Blueprint):
        torch._dynamo.config.recompile_limit = VARIANTS
        self.stepping = False
        whole: Any = model
        shallow = len(blueprint["regions"]) <= WHOLE and not blueprint["dials"]
        if shallow and next(model.parameters()).device.type == "cpu":
            hold_weights(model)
            holding = inductor.patch(freezing=True)  # torch has no such option for one compilation alone
            whole.forward = self._either(whole.forward, holding(_compiled(whole.forward, WHOLE_OPTIONS)))
            return
        for path in blueprint["regions"]:
            region: Any = model.get_submodule(path)
            region.forward = self._either(region.forward, _compiled(region.forward, REGION_OPTIONS))
        if hasattr(model, "_logits"):
            whole._logits = self._either(whole._logits, _compiled(whole._logits, REGION_OPTIONS))

    def _either(self, forward: Callable[..., Any], step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(forward)
        def either(*args: Any) -> Any:
            return (step if self.stepping else forward)(*args)

        return either


def _compiled(forward: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    return torch.compile(forward, fullgraph=True, options=options)


def _inputs(guards: Any) -> list[bool]:
    """Look at nothing of a module before each call: that would be a twentieth of a step."""
    return [not guard.name.startswith("self") for guard in guards]


def _tensors(guards: Any) -> list[bool]:
    """Look at tensors alone of a module, where several share their code: nothing else of them differs."""
    return [guard.guard_type == "TENSOR_MATCH" or not guard.name.startswith("self") for guard in guards]


OPTIONS = {"cpp.min_chunk_size": CHUNK}
REGION_OPTIONS = OPTIONS | {"guard_filter_fn": _tensors}
# The code of a whole model was written for it alone: it holds the weights, those of maps that read the same value
# as one, and calls from C++ what it does not compute itself.
WHOLE_OPTIONS = OPTIONS | {
    "guard_filter_fn": _inputs,
    "cpp_wrapper": True,
    "cpp.enable_concat_linear": True,
}


@define(eq=False, slots=False)  # slots would leave no room for the cached property
class Step:
    """The forward pass of single tokens, for one place of the dials."""

    model: nn.Module
    dtype: torch.dtype
    dials: Dials
    compiled: Compiled | None
    device: torch.device
    _recordings: dict[tuple[int, int], Recording] = field(init=False, factory=dict)
    _view: tuple[Any, ...] = field(init=False, default=())  # past, rows, positions, and the view of them

    def __call__(self, past: Past, ids: list[int], positions: list[int], seeds: list[int]) -> Tensor:
        """Return logits (B, V) after one token for each of the first B rows of a past."""
        numbers, reached = torch.tensor([ids, positions, seeds])[..., None], max(positions) + 1
        if self.compiled is None:
            return self._computed(past, numbers, reached)
        self.compiled.stepping = True
        try:
            compute = self._recorded if self.device.type == "cuda" else self._computed
            return compute(past, numbers, reached)
        finally:
            self.compiled.stepping = False

    def _computed(self, past: Past, numbers: Tensor, reached: int) -> Tensor:
        view = self._look(past, numbers.shape[1], min(past.capacity, -(-reached // SPAN) * SPAN))
        ids, positions, seeds = numbers.to(self.device).unbind()
        if len(ids) > 1 and self.compiled is not None:
            for number in (ids, positions, seeds):  # there will be other numbers of rows
                torch._dynamo.maybe_mark_dynamic(number, 0)
        return self._forward(ids, positions, seeds, view)

    def read(self, past: Past, ids: list[int], first: int, seed: int) -> None:
        """Read several tokens of a row alone, from position `first` on, for what the past keeps of them."""
        tokens = torch.tensor([ids], device=self.device)
        positions = torch.arange(first, first + len(ids), device=self.device)[None]
        seeds = torch.tensor([[seed]], device=self.device)
        now = self._now(tokens, positions, seeds, past.first(1, first + len(ids)))
        self._reader(tokens, now)

    @cached_property
    def _reader(self) -> Callable[..., Any]:
        """What of the model writes to the past: all of it, or what comes before its logits."""
        model: Any = self.model
        logits = getattr(model, "_logits", None)
        apart = logits is not None and "now" not in inspect.signature(logits).parameters
        return model._layers if apart else model

    def _now(self, ids: Tensor, positions: Tensor, seeds: Tensor, past: Any) -> Now:
        rows = torch.zeros_like(ids[:, :1])  # what a row draws follows from its seed alone
        return Now.start(ids, self.dtype, positions, past, self.dials, seed=seeds, rows=rows)

    def _forward(self, ids: Tensor, positions: Tensor, seeds: Tensor, past: Any) -> Tensor:
        return self.model(ids, self._now(ids, positions, seeds, past))[:, -1]

    def _look(self, past: Past, rows: int, positions: int) -> Any:
        """The part of the past that a step reads; the last one is kept, for steps change it seldom."""
        if self._view[:3] != (past, rows, positions):
            self._view = (
                past,
                rows,
                positions,
                past.first(rows, positions, growing=self.compiled is not None),
            )
        return self._view[3]

    def _recorded(self, past: Past, numbers: Tensor, reached: int) -> Tensor:
        """Play the recording for a number of rows and positions that is not less than what is asked."""
        count = numbers.shape[1]
        rows, span = min(past.rows, _power(count)), min(past.capacity, _power(max(LEAST_SPAN, reached)))
        if any(recording.past is not past for recording in self._recordings.values()):
            self._recordings.clear()  # made over tensors that have moved
        if (rows, span) not in self._recordings:
            self._recordings[rows, span] = Recording(self._forward, past, rows, span, numbers)
        return self._recordings[rows, span](numbers)


class Recording:
    """A CUDA graph of a pass: the same kernels over the same memory, with no work for the CPU in between."""

    def __init__(self, forward: Callable[..., Tensor], past: Past, rows: int, span: int, numbers: Tensor):
        """Record while computing the first step in earnest: to keep a position twice changes nothing where each
        has its place; what is kept in order is put back.
        """
        self.past, view = past, past.first(rows, span)
        self._inputs = torch.zeros(3, rows, 1, dtype=torch.int64, device=past.device)
        self._inputs[:, : numbers.shape[1]].copy_(numbers)
        before = [(leaf, leaf.clone()) for leaf, whole in past.leaves() if not whole]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):  # compiled code allocates its memory, and libraries theirs
                forward(*self._inputs, view)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._logits = forward(*self._inputs, view)
        for leaf, kept in before:
            leaf.copy_(kept)

    def __call__(self, numbers: Tensor) -> Tensor:
        count = numbers.shape[1]
        self._inputs[:, :count].copy_(numbers, non_blocking=True)
        self._graph.replay()
        return self._logits[:count]


def _power(number: int) -> int:
    """The least power of two that is not below."""
    return 1 << (number - 1).bit_length()
