"""Requests that are refused, in the shape that OpenAI's clients read. Knows nothing of what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

# what the kinds of faults are called there
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """Ends a request with a status and a message; `param` is the field that is at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        """`closes`: the connection is of no use any more, as where the rest of a body is still on its way."""
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers, self.closes = dict(headers or {}), closes

    @property
    def body(self) -> dict[str, Any]:
        usual = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = TYPES.get(self.status, usual)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> web.Response:
        response = web.json_response(self.body, status=self.status, headers=self.headers)
        if self.closes:
            response.force_close()
        return response


def busy(message: str) -> Refusal:
    """Too much is asked at once: the same request may pass a little later."""
    return Refusal(429, message, code="rate_limit_exceeded", headers={"Retry-After": "1"})


def away(message: str, *, seconds: int = 5) -> Refusal:
    """Nothing is wrong with the request, and nobody is here to answer it."""
    return Refusal(503, message, code="unavailable", headers={"Retry-After": str(seconds)})


def too_large(most: int) -> Refusal:
    message = f"the body has more than {most:,} bytes, which are allowed"
    return Refusal(413, message, code="body_too_large", closes=True)
