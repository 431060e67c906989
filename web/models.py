"""GET /v1/models: the one model that is served, and what is known of it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from web.parsing import no_such_model
from web.service import SERVICE, Service


async def models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [describe(request.app[SERVICE])]})


async def model(request: web.Request) -> web.Response:
    service, name = request.app[SERVICE], request.match_info["name"]
    if not service.answers_to(name):
        raise no_such_model(name)
    return web.json_response(describe(service))


def describe(service: Service) -> dict[str, Any]:
    """OpenAI's four fields, and ours."""
    dials = service.replicas[0].dials
    told = {
        **service.facts,
        "context": service.context,
        "dials": {n: {k: d[k] for k in ("default", "least", "most")} for n, d in dials.items()},
        "format": service.format.name,
        "tokens": service.tokens,
        "sampling": {k: getattr(service.sampling, k) for k in ("temperature", "top_k", "top_p")},
    }
    return {
        "id": service.name,
        "object": "model",
        "created": service.created,
        "owned_by": "nanogen",
        "nanogen": told,
    }
