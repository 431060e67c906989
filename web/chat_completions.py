"""POST /v1/chat/completions: OpenAI's JSON of a chat. What is ours stands under the key `nanogen`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from aiohttp import web

from web.answering import Answer, Finish, answering
from web.logprobs import chat_logprobs
from web.parsing import parse_chat
from web.shape import Json, Sample, send_stream, send_whole
from web.usage import figures, usage
from web.writing import Piece


async def chat_completions(request: web.Request) -> web.StreamResponse:
    async with answering(request, parse_chat) as answer:
        shape = ChatShape(answer)
        if answer.ask.stream:
            return await send_stream(request, answer, shape)
        return await send_whole(answer, shape.whole)


class ChatShape:
    """A tool call is a delta without content, so that clients which know none see the text alone."""

    def __init__(self, answer: Answer) -> None:
        self._service, self._ask = answer.service, answer.ask
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": answer.service.name,
        }

    def begin(self, answer: Answer) -> Iterable[Json]:
        for sample in range(answer.ask.samples):
            yield self._chunk(sample, {"role": "assistant", "content": ""}, nanogen={"seed": answer.ask.seed})

    def piece(self, sample: int, piece: Piece) -> Iterable[Json]:
        deltas: list[Json] = [
            {"content": part.text}
            if part.kind == "text"
            else {"nanogen": {"kind": part.kind, "text": part.text}}
            for part in piece.parts
        ]
        if not deltas and piece.scored:
            deltas = [{"content": ""}]
        for place, delta in enumerate(deltas):
            scored = piece.scored if place == 0 else ()
            yield self._chunk(
                sample, delta, logprobs=chat_logprobs(scored, self._service.tokenizer) if scored else None
            )

    def finish(self, sample: int, finish: Finish) -> Iterable[Json]:
        told = {"seed": self._ask.seed, **figures(finish)}
        yield self._chunk(sample, {}, finish_reason=finish.reason, nanogen=told)

    def end(self, answer: Answer) -> Iterable[Json | str]:
        if self._ask.usage:
            yield {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage(answer)}
        yield "[DONE]"

    def _chunk(
        self,
        sample: int,
        delta: Json,
        *,
        logprobs: Json | None = None,
        finish_reason: str | None = None,
        nanogen: Json | None = None,
    ) -> Json:
        choice = {"index": sample, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if self._ask.usage:
            chunk["usage"] = None
        return chunk if nanogen is None else {**chunk, "nanogen": nanogen}

    def whole(self, answer: Answer, samples: list[Sample]) -> Json:
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [self._choice(number, sample) for number, sample in enumerate(samples)],
            "usage": usage(answer),
            "nanogen": {"seed": answer.ask.seed, **figures(*answer.finishes)},
        }

    def _choice(self, number: int, sample: Sample) -> Json:
        message: Json = {"role": "assistant", "content": sample.text, "refusal": None}
        parts = sample.parts
        if any(part.kind != "text" for part in parts):
            message["nanogen"] = {"parts": [{"type": part.kind, "text": part.text} for part in parts]}
        wanted = self._ask.requests[0].sampling.logprobs is not None
        return {
            "index": number,
            "message": message,
            "logprobs": chat_logprobs(sample.scored, self._service.tokenizer) if wanted else None,
            "finish_reason": sample.finish.reason if sample.finish else None,
        }
