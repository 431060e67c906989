"""GET / and /page/NAME: the files of the page, and nothing beside them."""

from __future__ import annotations

import re

from aiohttp import web

from web.service import OPTIONS

NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")


async def index(request: web.Request) -> web.StreamResponse:
    return _file(request, "index.html")


async def page_file(request: web.Request) -> web.StreamResponse:
    return _file(request, request.match_info["name"])


def _file(request: web.Request, name: str) -> web.StreamResponse:
    """A browser asks each time whether the file is still the same: after an update, no part of it is old."""
    path = request.app[OPTIONS].page / name
    if not NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})
