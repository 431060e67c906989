"""Keep strangers out: a token, pages of other sites, names that were rebound; and the headers that hold the page.

Knows nothing of what requests ask for.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from web.refusals import Refusal
from web.service import OPTIONS

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "nanogen",
}
OPEN = ("/", "/health")  # and the files of the page, which asks for the token


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every response, also those of a stream and of a fault."""
    response.headers.update(HEADERS)
    origin = request.headers.get(hdrs.ORIGIN)
    if request.app[OPTIONS].cors:
        response.headers[hdrs.VARY] = hdrs.ORIGIN
    if origin in request.app[OPTIONS].cors:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    options = request.app[OPTIONS]
    if options.token is None:
        _check_host(request)
    _check_origin(request, options.cors)
    if request.method == hdrs.METH_OPTIONS and request.headers.get(hdrs.ORIGIN) in options.cors:
        return _preflight(request)
    if options.token is not None and not _is_open(request):
        _check_token(request, options.token)
    return await handler(request)


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this machine, whoever is asked about it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_host(request: web.Request) -> None:
    """A page of another site may have its own name point here; its requests still carry that name."""
    try:
        name = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        message = "without a token, the server answers to `localhost` and addresses of this machine only"
        raise Refusal(403, message, code="unknown_host")


def _check_origin(request: web.Request, allowed: tuple[str, ...]) -> None:
    """A page of another site may send a request, though it cannot read the answer: it would cost us the work."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or origin in allowed:
        return
    if origin.partition("://")[2] != request.headers.get(hdrs.HOST):
        raise Refusal(403, "pages of other origins may not call this server", code="unknown_origin")


def _is_open(request: web.Request) -> bool:
    return request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and (
        request.path in OPEN or request.path.startswith("/page/")
    )


def _check_token(request: web.Request, token: str) -> None:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    if scheme.lower() != "bearer" or not same:
        message = "a token is needed: send it as `Authorization: Bearer TOKEN`"
        raise Refusal(401, message, code="invalid_api_key", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def _preflight(request: web.Request) -> web.Response:
    """What a page of an allowed origin may send; its browser asks before it does."""
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: asked,
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        },
    )
