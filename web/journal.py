"""Bring every request to an end that its client can read, and tell of it in one line without its text."""

from __future__ import annotations

import logging
from time import monotonic

from aiohttp import web
from aiohttp.typedefs import Handler

from web.answering import ANSWER, Answer
from web.metrics import METRICS
from web.refusals import Refusal, too_large
from web.service import OPTIONS

GONE = 499  # the status that is told of a request whose client went away before its end
QUIET = ("/health", "/metrics", "/page/{name}")  # routes that are asked for all the time

log = logging.getLogger("nanogen.web")


@web.middleware
async def journal(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware: nothing passes it as an exception but the end of the handler itself."""
    since, status = monotonic(), GONE
    try:
        response = await _ended(request, handler)
        status = response.status
        return response
    finally:
        route = request.match_info.route.resource
        name = route.canonical if route else "unknown"
        request.app[METRICS].requests[name, status] += 1
        level = logging.DEBUG if name in QUIET and status < 400 else logging.INFO
        log.log(level, _line(request.method, name, status, monotonic() - since, request.get(ANSWER)))


async def _ended(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response(status=GONE)  # to nobody; the library would take the exception for a fault
    except Refusal as refusal:
        return refusal.response()
    except web.HTTPRequestEntityTooLarge:
        return too_large(request.app[OPTIONS].limits.body_bytes).response()
    except web.HTTPException as fault:
        kept = {name: fault.headers[name] for name in ("Allow", "Location") if name in fault.headers}
        message = f"{request.method} {request.path[:100]}: {fault.reason.lower()}"
        return Refusal(fault.status, message, headers=kept).response()
    except Exception:
        log.exception("a request failed, which is a fault of the server")
        return Refusal(500, "the server failed on this request", code="internal_error").response()


def _line(method: str, route: str, status: int, seconds: float, answer: Answer | None) -> str:
    line = f"{method} {route} {status}, {seconds:.3f} s"
    if answer is None:
        return line
    first = answer.seconds_to_first
    begun = "no token" if first is None else f"first after {first:.3f} s"
    prompt, samples = answer.ask.prompt_tokens, answer.ask.samples
    return f"{line}: {prompt:,} tokens of prompt, {answer.tokens:,} written in {samples} samples, {begun}"
