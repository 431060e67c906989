"""Run an application on an address until it is told to end, and let it end without breaking off answers.

Knows nothing of what the application serves.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import web

from runtime.faults import Fault
from web.admission import ADMISSION
from web.guard import is_loopback
from web.service import OPTIONS

HOST, PORT = "127.0.0.1", 8000
GRACE = 30.0  # seconds that running answers have to finish
LAST_WORDS = 1.0  # seconds for those that did not, to be told so
BACKLOG = 1_024  # connections that wait to be accepted
SEND_BUFFER = (
    1 << 16
)  # bytes that the system holds for a reader; left to itself, it lets them grow to megabytes
MOST_FILES = 65_536

log = logging.getLogger("nanogen.web")


def serve(
    app: web.Application,
    *,
    host: str = HOST,
    port: int = PORT,
    grace: float = GRACE,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the URL. Raises Fault where that is not possible.

    The first signal stops taking requests and waits for those that run; a second one ends them.
    """
    _allow_many_connections()
    asyncio.run(_serve(app, host, port, grace, ready or (lambda url: None)))


async def _serve(
    app: web.Application, host: str, port: int, grace: float, ready: Callable[[str], None]
) -> None:
    async with listening(app, host=host, port=port) as url:
        with _signals() as told:
            ready(url)
            await told.get()
            await drain(app, grace=grace, enough=told.get())


@asynccontextmanager
async def listening(app: web.Application, *, host: str = HOST, port: int = 0) -> AsyncIterator[str]:
    """An application that takes requests within the block; gives its URL. Port 0 is one that is free."""
    options = app[OPTIONS]
    if options.token is None and not is_loopback(host):
        raise Fault(
            f"`{host}` can be reached from other machines, and no token is set",
            "set a token that requests must carry, or serve on 127.0.0.1",
        )
    runner = web.AppRunner(
        app,
        handler_cancellation=True,  # a client that goes away ends its handler, and that its samples
        access_log=None,
        keepalive_timeout=options.limits.idle_seconds,
        lingering_time=options.limits.linger_seconds,
        shutdown_timeout=LAST_WORDS,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, _bound(host, port), backlog=BACKLOG).start()
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        message = f"`{host}` port {port} cannot be served on: {error.strerror or error}"
        raise Fault(message, "choose another port, or end what uses it") from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections have it from here
    return bound


async def drain(app: web.Application, *, grace: float, enough: Awaitable[object] | None = None) -> bool:
    """Take no more requests and wait until none runs: for `grace` seconds, or until `enough` is done.

    /health is still answered, and says so. Returns whether all were finished.
    """
    admission = app[ADMISSION]
    admission.draining = True
    log.info("no more requests are taken; those that run have %g seconds", grace)
    emptied = asyncio.ensure_future(admission.emptied())
    waited = [emptied, *([asyncio.ensure_future(enough)] if enough else [])]
    await asyncio.wait(waited, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    finished = emptied.done()
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
    return finished


@contextmanager
def _signals() -> Iterator[asyncio.Queue[int]]:
    """The signals that ask for an end, as they come."""
    told: asyncio.Queue[int] = asyncio.Queue()
    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    with suppress(NotImplementedError):  # some systems have none; Ctrl-C ends at once there
        for number in numbers:
            loop.add_signal_handler(number, told.put_nowait, number)
    try:
        yield told
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


def _allow_many_connections() -> None:
    """Each connection is an open file, and the usual bound of 1,024 is soon reached by those that idle."""
    with suppress(ImportError, ValueError, OSError):  # not every system has the module, or lets us
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
