"""Have what a request asks for written, and keep the books of it. Knows nothing of how the answer is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

from aiohttp import web
from attrs import frozen

from runtime.decoding.request import End, Token
from runtime.faults import Fault
from web.admission import ADMISSION
from web.limits import Limits
from web.metrics import METRICS, Metrics
from web.parsing import Ask
from web.refusals import Refusal, away, too_large
from web.replica import Broken, Closed, Events, FellBehind
from web.service import OPTIONS, SERVICE, Service
from web.writing import Piece, Writing

Parse = Callable[[bytes, Service, Limits], Ask]


class TooSlow(ConnectionError):
    """The reader did not take what was sent in the time it has."""


@frozen
class Finish:
    """How a sample ended."""

    reason: str
    tokens: int
    seconds: float  # since the request came
    tokens_per_second: float  # after the first


class Answer:
    """What is written for a request: pieces of its samples as they come, and the finish of each."""

    def __init__(self, ask: Ask, service: Service, events: Events, *, since: float) -> None:
        self.ask, self.service = ask, service
        self.seconds_to_first: float | None = None
        self.fell_behind = False
        self.finishes: list[Finish] = []
        self._events, self._since = events, since
        self._writings = [Writing(service.tokenizer, ask.stops) for _ in range(ask.samples)]
        self._begun = [since] * ask.samples  # when each had its first token

    @property
    def tokens(self) -> int:
        """Written so far, for all samples."""
        return sum(writing.tokens for writing in self._writings)

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return monotonic() - self._since

    async def pieces(self) -> AsyncIterator[tuple[int, Piece | Finish]]:
        """Each with the number of its sample. Raises a Refusal where the answer cannot be finished."""
        try:
            async for place, event in self._events:
                sample = place * self.ask.requests[0].samples + event.sample
                for said in self._hear(sample, place, event):
                    if isinstance(said, Finish) or said.parts or said.scored:
                        yield sample, said
        except Broken as fault:
            raise _unanswered(fault) from fault
        except FellBehind as fault:
            self.fell_behind = True
            raise Refusal(408, f"the answer was read too slowly: {fault}", code="too_slow") from fault

    def _hear(self, sample: int, place: int, event: Token | End) -> list[Piece | Finish]:
        writing = self._writings[sample]
        if isinstance(event, End):
            return [writing.end(), self._finish(sample, "stop" if writing.stopped else event.reason)]
        piece = writing.feed(event)
        if writing.tokens == 1:
            self._begin(sample)
        if not writing.stopped:
            return [piece]
        self._events.cancel(place, event.sample)
        return [piece, self._finish(sample, "stop")]

    def _begin(self, sample: int) -> None:
        self._begun[sample] = monotonic()
        if self.seconds_to_first is None:
            self.seconds_to_first = self.seconds

    def _finish(self, sample: int, reason: str) -> Finish:
        tokens, seconds = self._writings[sample].tokens, monotonic() - self._begun[sample]
        rate = (tokens - 1) / seconds if tokens > 1 and seconds > 0 else 0.0
        finish = Finish(reason, tokens, self.seconds, rate)
        self.finishes.append(finish)
        return finish


ANSWER = web.RequestKey("answer", Answer)  # of a request, for who reports on it


@asynccontextmanager
async def answering(request: web.Request, parse: Parse) -> AsyncIterator[Answer]:
    """Read a request and have it answered; however the block is left, its samples run no longer.

    A request that cannot be answered is refused here, before anything of an answer is sent.
    """
    since = monotonic()
    service, limits = request.app[SERVICE], request.app[OPTIONS].limits
    with request.app[ADMISSION].enter():
        ask = await _read(request, parse)
        replica = service.least_loaded(ask.samples, queue=limits.queue)
        try:
            async with replica.stream(*ask.requests, behind=limits.behind) as events:
                request[ANSWER] = answer = Answer(ask, service, events, since=since)
                with _booked(answer, request.app[METRICS]):
                    yield answer
        except Fault as fault:
            raise Refusal(400, f"{fault.message}; {fault.help}" if fault.help else fault.message) from None
        except Broken as fault:
            raise _unanswered(fault) from fault


def _unanswered(fault: Broken) -> Refusal:
    return away(str(fault)) if isinstance(fault, Closed) else Refusal(500, str(fault), code="engine_failed")


async def _read(request: web.Request, parse: Parse) -> Ask:
    """What the body asks for; a client that sends it byte by byte has so long and no longer."""
    limits = request.app[OPTIONS].limits
    if (request.content_length or 0) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await request.read()
    except TimeoutError:
        message = f"the body did not come within {limits.body_seconds:g} seconds"
        raise Refusal(408, message, closes=True) from None
    except web.RequestPayloadError as fault:
        raise Refusal(400, f"the body cannot be read: {fault}") from None
    with request.app[ADMISSION].prepare():
        return await asyncio.to_thread(parse, body, request.app[SERVICE], limits)


@contextmanager
def _booked(answer: Answer, metrics: Metrics) -> Iterator[None]:
    """Count what was written, and whether anybody waited for it to the end."""
    try:
        yield
    except TooSlow:
        metrics.abandoned["slow"] += 1
        raise
    except (asyncio.CancelledError, ConnectionError):
        metrics.abandoned["gone"] += 1
        raise
    finally:
        metrics.abandoned["slow"] += answer.fell_behind
        metrics.prompt_tokens += answer.ask.prompt_tokens
        metrics.tokens += answer.tokens
        if answer.seconds_to_first is not None:
            metrics.first_token.observe(answer.seconds_to_first)
        for finish in answer.finishes:
            if finish.tokens > 1:
                metrics.rate.observe(finish.tokens_per_second)
