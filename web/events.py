"""Write server-sent events to a client, no faster than it reads them. Knows nothing of what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from web.answering import TooSlow

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy would keep back what is to be read at once
}


class EventStream:
    """An open response. What the client has not read yet is bounded: some 100 KB, then `send` waits for it."""

    def __init__(self, request: web.Request, *, seconds: float) -> None:
        self.response = web.StreamResponse(headers=HEADERS)
        self._request, self._seconds = request, seconds

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def send(self, data: Mapping[str, Any] | str) -> None:
        """One event; a client that does not read for too long is cut off."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        try:
            async with asyncio.timeout(self._seconds):
                await self.response.write(f"data: {text}\n\n".encode(errors="replace"))
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise TooSlow(f"nothing was read for {self._seconds:g} seconds") from None
