"""Run an engine in a thread of its own, and bring what it hands out to the event loop.

The engine and `_numbers` belong to the thread, everything else to the loop. The loop orders by a queue that the
thread empties between two steps; the thread answers with one call into the loop a step. Knows ids only.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from runtime.decoding.request import End, Request, Token
from runtime.faults import Fault

BEHIND = 1_024  # events that wait for the reader of a stream, at most
STEPS_AHEAD = 8  # that the thread makes before the loop has taken what came of the first
SECONDS_TO_END = 5.0  # for the step that runs when a replica is closed

log = logging.getLogger("nanogen.web")


class Engine(Protocol):
    """What a replica needs of an engine; see runtime/decoding/engine.py."""

    context: int
    rows: int
    dials: Mapping[str, Mapping[str, Any]]

    def submit(self, request: Request) -> int: ...
    def cancel(self, number: int, sample: int | None = None) -> None: ...
    def step(self) -> Sequence[Token | End]: ...
    @property
    def busy(self) -> bool: ...
    @property
    def running(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class Broken(Exception):
    """The engine failed: nothing more comes. Not the request's fault."""


class Closed(Broken):
    """The replica was closed, as the server ends."""


class FellBehind(Exception):
    """The reader of a stream left too many events waiting, and so its samples were ended."""


class Events:
    """What comes of the requests of a stream, each event with the place of its request; ends with the last sample."""

    def __init__(self, requests: Sequence[Request], *, behind: int, drop: Callable[..., None]) -> None:
        self.requests = requests
        self._running = {(place, n) for place, r in enumerate(requests) for n in range(r.samples)}
        self._waiting: deque[tuple[int, Token | End]] = deque()
        self._behind, self._drop = behind, drop
        self._news = asyncio.Event()
        self._accepted = False
        self._fault: Exception | None = None

    def cancel(self, place: int, sample: int) -> None:
        """End one sample; nothing more comes of it."""
        self._running.discard((place, sample))
        self._drop(self, place, sample)

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> tuple[int, Token | End]:
        while self._running:
            await self._until(lambda: len(self._waiting) > 0)
            place, event = self._waiting.popleft()
            if (place, event.sample) not in self._running:
                continue
            if isinstance(event, End):
                self._running.discard((place, event.sample))
            return place, event
        raise StopAsyncIteration

    async def accepted(self) -> None:
        """Return when the engine has taken the requests; raises its Fault where it does not."""
        await self._until(lambda: self._accepted)

    async def _until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            if self._fault is not None:
                raise self._fault
            self._news.clear()
            await self._news.wait()

    # -- what the replica tells, on the loop

    def accept(self) -> None:
        self._accepted = True
        self._news.set()

    def put(self, place: int, event: Token | End) -> None:
        if self._fault is not None:
            return
        if len(self._waiting) >= self._behind:
            self._waiting.clear()
            self._drop(self)
            self.fail(FellBehind(f"{self._behind:,} tokens were waiting to be read"))
            return
        self._waiting.append((place, event))
        self._news.set()

    def fail(self, fault: Exception) -> None:
        """What has come already is still read; then the fault is raised."""
        self._fault = self._fault or fault
        self._news.set()


class Replica:
    """An engine at work. `load` counts the samples of all streams that are open."""

    def __init__(self, engine: Engine) -> None:
        self.context, self.rows, self.dials = engine.context, engine.rows, engine.dials
        self.ready = False
        self.load = self.running = self.waiting = 0
        self._engine = engine
        self._streams: set[Events] = set()
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ahead = threading.Semaphore(STEPS_AHEAD)
        self._numbers: dict[int, tuple[Events, int]] = {}  # of the engine's, to streams and places
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    # -- on the loop

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self.ready = True

    async def close(self) -> None:
        """End what still runs, and the thread."""
        self._end(Closed("the server ends"))
        self._closing = True
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join, SECONDS_TO_END)

    @asynccontextmanager
    async def stream(self, *requests: Request, behind: int = BEHIND) -> AsyncIterator[Events]:
        """Have requests answered; leaving the block ends what still runs at once. Raises Fault, or Broken."""
        if not self.ready:
            raise Broken("the replica is not ready")
        drop = partial(self._order, self._drop)
        events = Events(requests, behind=behind, drop=drop)
        samples = sum(request.samples for request in requests)
        self._streams.add(events)
        self.load += samples
        self._order(self._submit, events)
        try:
            await events.accepted()
            yield events
        finally:
            self.load -= samples
            self._streams.discard(events)
            drop(events)

    def _order(self, work: Callable[..., None], *what: Any) -> None:
        self._orders.put(partial(work, *what))

    def _deliver(self, told: Sequence[tuple[Events, int, Token | End]]) -> None:
        self._ahead.release()
        for events, place, event in told:
            events.put(place, event)

    def _end(self, fault: Exception) -> None:
        self.ready = False
        for events in self._streams:
            events.fail(fault)

    # -- in the thread

    def _work(self) -> None:
        try:
            while self._take_orders() and not self._closing:
                if self._engine.busy:
                    self._hand_out(self._engine.step())
        except Exception as fault:
            log.exception("the engine failed; its replica takes no more requests")
            self.running = self.waiting = 0
            self._tell(self._end, Broken(f"the engine failed: {type(fault).__name__}"))

    def _take_orders(self) -> bool:
        """Do what the loop ordered, waiting for it where nothing else is to do; False where all is over."""
        wait = not self._engine.busy
        while True:
            try:
                order = self._orders.get(block=wait)
            except queue.Empty:
                return True
            if order is None:
                return False
            order()
            wait = False
            self._count()

    def _submit(self, events: Events) -> None:
        try:
            for place, request in enumerate(events.requests):
                self._numbers[self._engine.submit(request)] = events, place
        except Fault as fault:
            self._drop(events)
            self._tell(events.fail, fault)
        else:
            self._tell(events.accept)

    def _drop(self, events: Events, place: int | None = None, sample: int | None = None) -> None:
        """End all of a stream, or one sample of one of its requests."""
        for number in [n for n, (e, p) in self._numbers.items() if e is events and place in (None, p)]:
            self._engine.cancel(number, sample)
            if sample is None:
                del self._numbers[number]

    def _hand_out(self, said: Sequence[Token | End]) -> None:
        self._count()
        told = [(*self._numbers[event.request], event) for event in said if event.request in self._numbers]
        if not told:
            return
        while not self._ahead.acquire(timeout=1.0):
            if self._closing:
                return
        self._tell(self._deliver, told)

    def _count(self) -> None:
        self.running, self.waiting = self._engine.running, self._engine.waiting

    def _tell(self, what: Callable[..., None], *about: Any) -> None:
        # where the loop has ended, nobody listens
        try:
            self._loop.call_soon_threadsafe(what, *about)
        except RuntimeError:
            self._closing = True
