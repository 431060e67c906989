"""What an endpoint must say of an answer, and the two ways to send it: event by event, or whole.

Knows the order of things, and nothing of the JSON that each endpoint makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aiohttp import web
from attrs import define, field

from runtime.chat.message import Part
from web.answering import Answer, Finish
from web.events import EventStream
from web.refusals import Refusal
from web.service import OPTIONS
from web.writing import Piece, Scored

Json = dict[str, Any]


@define
class Sample:
    """All of a sample, for who asked for it whole."""

    pieces: list[Piece] = field(factory=list)
    finish: Finish | None = None

    @property
    def parts(self) -> list[Part]:
        """Neighbours of one kind are one part."""
        found: list[list[Part]] = []
        for part in (part for piece in self.pieces for part in piece.parts):
            if not found or found[-1][0].kind != part.kind:
                found.append([])
            found[-1].append(part)
        return [Part(run[0].kind, "".join(part.text for part in run)) for run in found]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if part.kind == "text")

    @property
    def scored(self) -> list[Scored]:
        return [scored for piece in self.pieces for scored in piece.scored]


class Shape(Protocol):
    """The events of an endpoint's stream."""

    def begin(self, answer: Answer) -> Iterable[Json]: ...
    def piece(self, sample: int, piece: Piece) -> Iterable[Json]: ...
    def finish(self, sample: int, finish: Finish) -> Iterable[Json]: ...
    def end(self, answer: Answer) -> Iterable[Json | str]: ...


async def send_stream(request: web.Request, answer: Answer, shape: Shape) -> web.StreamResponse:
    """Send an answer as it is written. What goes wrong midway is the last event."""
    stream = EventStream(request, seconds=request.app[OPTIONS].limits.write_seconds)
    await stream.open()
    try:
        for event in shape.begin(answer):
            await stream.send(event)
        async for sample, said in answer.pieces():
            told = shape.finish(sample, said) if isinstance(said, Finish) else shape.piece(sample, said)
            for event in told:
                await stream.send(event)
        for event in shape.end(answer):
            await stream.send(event)
    except Refusal as refusal:
        await stream.send({"error": {**refusal.body["error"], "status": refusal.status}})
    return stream.response


async def send_whole(answer: Answer, whole: Callable[[Answer, list[Sample]], Json]) -> web.Response:
    """Send an answer when all its samples have ended, as the JSON that `whole` makes of it."""
    samples = [Sample() for _ in range(answer.ask.samples)]
    async for number, said in answer.pieces():
        if isinstance(said, Finish):
            samples[number].finish = said
        else:
            samples[number].pieces.append(said)
    return web.json_response(whole(answer, samples), headers={"Cache-Control": "no-store"})
