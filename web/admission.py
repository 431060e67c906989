"""Who may come in: nobody while the server drains, and not too many at once. Counts requests, knows none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from web.refusals import away, busy


class Admission:
    """Counts the requests that are being answered, so that the last one can be waited for."""

    def __init__(self, *, preparing: int) -> None:
        self.draining = False
        self._inside = self._preparing = 0
        self._most_preparing = preparing
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a request's place until it is answered."""
        if self.draining:
            raise away("the server is about to end and takes no more requests")
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @contextmanager
    def prepare(self) -> Iterator[None]:
        """Hold a place among those whose text is turned into ids, which is done by few threads."""
        if self._preparing >= self._most_preparing:
            raise busy(f"{self._most_preparing} requests are being read already; try again in a second")
        self._preparing += 1
        try:
            yield
        finally:
            self._preparing -= 1

    async def emptied(self) -> None:
        """Return when no request is being answered."""
        await self._empty.wait()


ADMISSION = web.AppKey("admission", Admission)
