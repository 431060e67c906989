"""Batches prepared by a thread while the step before them is computed: the same ones, in the same order.

The state that it tells is that of the batch that was taken, whatever was read ahead; a fault of the loader is raised
where its batch would have been taken. Knows nothing of what a loader reads.
"""

from __future__ import annotations

import copy
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from attrs import define, field, frozen

from runtime.batches import Batch

DEPTH = 2  # batches that wait at most

State = Callable[[], dict[str, np.ndarray]]


class Loads(Protocol):
    """A loader that is read ahead of: what training needs, and its place for later."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def state(self) -> dict[str, np.ndarray]: ...
    def told(self) -> State: ...
    def restore(self, state: dict[str, np.ndarray]) -> None: ...
    def sources(self) -> Sequence[Sequence[Any]]: ...
    def names(self, sources: Sequence[Any]) -> list[str]: ...


def pays(device: str) -> bool:
    """Whether a core is free for it: on CPU a thread beside those that all compute would slow each of them."""
    return device != "cpu" or cores() > torch.get_num_threads()


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@frozen
class _Made:
    """One batch, and the loader's place behind it."""

    batch: Batch | None
    sources: Sequence[Sequence[Any]]
    told: State
    fault: BaseException | None = None


@define(eq=False)
class Ahead:
    """A loader whose batches are made ahead. The thread starts with the first batch, and ends with `close`.

    Nobody else may read the loader in between.
    """

    loader: Loads
    depth: int = DEPTH
    _taken: _Made | None = field(default=None, init=False)
    _made: queue.Queue[_Made] = field(init=False)
    _ending: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._made = queue.Queue(self.depth)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._taken is not None and self._taken.fault is not None:
            raise self._taken.fault
        if self._thread is None:
            self._start()
        made = self._made.get()
        if made.fault is not None:
            self._join()
            self._taken = _Made(None, self.sources(), self.told(), made.fault)
            raise made.fault
        self._taken = made
        assert made.batch is not None
        return made.batch

    def state(self) -> dict[str, np.ndarray]:
        """The place behind the batch that was taken last."""
        return self.told()()

    def told(self) -> State:
        """The same for later."""
        return self.loader.told() if self._taken is None else self._taken.told

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state; what was made ahead is dropped."""
        self._join()
        self._taken = None
        self.loader.restore(state)

    def sources(self) -> Sequence[Sequence[Any]]:
        return self.loader.sources() if self._taken is None else self._taken.sources

    def names(self, sources: Sequence[Any]) -> list[str]:
        return self.loader.names(sources)

    def close(self) -> None:
        """End the thread. The loader goes on behind the batch that was taken."""
        if self._thread is not None:
            place = self.state()
            self._join()
            self._taken = None
            self.loader.restore(place)

    # -- the thread

    def _start(self) -> None:
        if self._taken is None:  # so that a state told before the first batch comes is not read under way
            self._taken = _Made(None, self.loader.sources(), self.loader.told())
        self._ending.clear()
        self._made = queue.Queue(self.depth)
        self._thread = threading.Thread(target=self._make, name="batches", daemon=True)
        self._thread.start()

    def _join(self) -> None:
        """Ask the thread to end, and wait for it: for the one batch at most that it is making."""
        if self._thread is None:
            return
        self._ending.set()
        while self._thread.is_alive():
            _emptied(self._made)
            self._thread.join(0.01)
        self._thread = None

    def _make(self) -> None:
        while not self._ending.is_set():
            try:
                batch = next(self.loader)
                made = _Made(batch, copy.copy(self.loader.sources()), self.loader.told())
            except BaseException as fault:  # told where the batch would have been taken
                made = _Made(None, (), dict, fault)
            self._made.put(made)
            if made.fault is not None:
                return


def _emptied(waiting: queue.Queue[_Made]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
