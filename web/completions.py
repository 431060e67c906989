"""POST /v1/completions: OpenAI's JSON of text that is continued. What is ours stands under the key `nanogen`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence

from aiohttp import web

from web.answering import Answer, Finish, answering
from web.logprobs import completion_logprobs
from web.parsing import parse_completion
from web.shape import Json, Sample, send_stream, send_whole
from web.usage import figures, usage
from web.writing import Piece, Scored


async def completions(request: web.Request) -> web.StreamResponse:
    async with answering(request, parse_completion) as answer:
        shape = CompletionShape(answer)
        if answer.ask.stream:
            return await send_stream(request, answer, shape)
        return await send_whole(answer, shape.whole)


class CompletionShape:
    """Events of a stream and the whole answer look alike here."""

    def __init__(self, answer: Answer) -> None:
        self._service, self._ask = answer.service, answer.ask
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": answer.service.name,
        }

    def begin(self, answer: Answer) -> Iterable[Json]:
        return ()

    def piece(self, sample: int, piece: Piece) -> Iterable[Json]:
        text = "".join(part.text for part in piece.parts)
        yield self._chunk(self._choice(sample, text, piece.scored))

    def finish(self, sample: int, finish: Finish) -> Iterable[Json]:
        chunk = self._chunk(self._choice(sample, "", (), finish))
        yield {**chunk, "nanogen": {"seed": self._ask.seed, **figures(finish)}}

    def end(self, answer: Answer) -> Iterable[Json | str]:
        if self._ask.usage:
            yield {**self._head, "choices": [], "usage": usage(answer)}
        yield "[DONE]"

    def whole(self, answer: Answer, samples: list[Sample]) -> Json:
        choices = [
            self._choice(number, sample.text, sample.scored, sample.finish)
            for number, sample in enumerate(samples)
        ]
        told = {"seed": self._ask.seed, **figures(*answer.finishes)}
        return {**self._head, "choices": choices, "usage": usage(answer), "nanogen": told}

    def _chunk(self, choice: Json) -> Json:
        chunk: Json = {**self._head, "choices": [choice]}
        return {**chunk, "usage": None} if self._ask.usage else chunk

    def _choice(self, number: int, text: str, scored: Sequence[Scored], finish: Finish | None = None) -> Json:
        wanted = self._ask.requests[0].sampling.logprobs is not None
        return {
            "index": number,
            "text": text,
            "logprobs": completion_logprobs(scored, self._service.tokenizer) if wanted else None,
            "finish_reason": finish.reason if finish else None,
        }
