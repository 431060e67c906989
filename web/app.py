"""Make the application: its routes, who watches them, and the replicas that live as long as it does."""

from __future__ import annotations

import asyncio

from aiohttp import web

from web.admission import ADMISSION, Admission
from web.chat_completions import chat_completions
from web.completions import completions
from web.condition import health, metrics
from web.guard import add_headers, guard
from web.journal import journal
from web.metrics import METRICS, Metrics
from web.models import model, models
from web.nanochat_stream import nanochat_stream
from web.page_files import index, page_file
from web.service import OPTIONS, SERVICE, Options, Service


def make_app(service: Service, options: Options | None = None) -> web.Application:
    """An application for one event loop; `web.serving` runs it."""
    options = options or Options()
    app = web.Application(middlewares=[journal, guard], client_max_size=options.limits.body_bytes)
    app[SERVICE], app[OPTIONS] = service, options
    app[METRICS], app[ADMISSION] = Metrics(), Admission(preparing=options.limits.preparing)
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat_completions),
            web.post("/v1/completions", completions),
            web.get("/v1/models", models),
            web.get("/v1/models/{name:.+}", model),
            web.post("/chat/completions", nanochat_stream),
            web.get("/health", health),
            web.get("/metrics", metrics),
            web.get("/", index),
            web.get("/page/{name}", page_file),
        ]
    )
    app.on_response_prepare.append(add_headers)
    app.on_startup.append(start_replicas)
    app.on_shutdown.append(close_replicas)
    return app


async def start_replicas(app: web.Application) -> None:
    for replica in app[SERVICE].replicas:
        await replica.start()


async def close_replicas(app: web.Application) -> None:
    """Before connections are closed: whoever still reads an answer is told that it ends here."""
    await asyncio.gather(*(replica.close() for replica in app[SERVICE].replicas))
