"""GET /health and GET /metrics: how the server does, for people and for machines that watch it."""

from __future__ import annotations

from aiohttp import web

from web.admission import ADMISSION
from web.metrics import METRICS
from web.service import SERVICE


async def health(request: web.Request) -> web.Response:
    """The status is 503 where new requests had better go elsewhere."""
    service, draining = request.app[SERVICE], request.app[ADMISSION].draining
    told = {
        "status": "draining" if draining else "ok",
        "ready": service.ready and not draining,
        "replicas": len(service.replicas),
        "running": sum(replica.running for replica in service.replicas),
        "waiting": sum(replica.waiting for replica in service.replicas),
    }
    return web.json_response(told, status=200 if told["ready"] else 503)


async def metrics(request: web.Request) -> web.Response:
    text = request.app[METRICS].text(request.app[SERVICE])
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
