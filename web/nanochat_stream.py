"""POST /chat/completions: the stream that nanochat's own clients read, which knows text alone."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from web.answering import Answer, Finish, answering
from web.parsing import parse_nanochat
from web.shape import Json, send_stream
from web.writing import Piece


async def nanochat_stream(request: web.Request) -> web.StreamResponse:
    async with answering(request, parse_nanochat) as answer:
        return await send_stream(request, answer, NanochatShape())


class NanochatShape:
    """Pieces of text, then that it is done. Which of its GPUs writes is told there; here it is always 0."""

    def begin(self, answer: Answer) -> Iterable[Json]:
        return ()

    def piece(self, sample: int, piece: Piece) -> Iterable[Json]:
        return [{"token": part.text, "gpu": 0} for part in piece.parts if part.kind == "text"]

    def finish(self, sample: int, finish: Finish) -> Iterable[Json]:
        return ()

    def end(self, answer: Answer) -> Iterable[Json]:
        return [{"done": True}]
