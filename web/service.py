"""What the server is handed: a model with its replicas, and how it is to be served. Knows nothing of requests."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from attrs import field, frozen

from runtime.chat.conversation import Format
from runtime.decoding.request import Sampling
from runtime.faults import Fault
from runtime.tokenizer import Tokenizer
from web.limits import Limits
from web.refusals import away, busy
from web.replica import Replica

PAGE = Path(__file__).parent / "page"
_ORIGIN = re.compile(r"https?://[^/\s*]+")


@frozen
class Service:
    """A model as clients meet it. `facts` are told beside it, as `step`, `trained` and `parameters` are."""

    name: str
    format: Format
    tokenizer: Tokenizer
    replicas: tuple[Replica, ...]
    facts: Mapping[str, Any] = field(factory=dict)
    tokens: int = 512  # that are written for a sample, unless the request says
    sampling: Sampling = field(factory=Sampling)  # unless the request says
    created: int = field(factory=lambda: int(time.time()))  # seconds since 1970

    @property
    def context(self) -> int:
        return self.replicas[0].context

    @property
    def ready(self) -> bool:
        return any(replica.ready for replica in self.replicas)

    def answers_to(self, name: str) -> bool:
        """Whether a client that asks for this model means the served one: its name, or how its name ends."""
        return f"/{self.name}".endswith(f"/{name}")

    def least_loaded(self, samples: int, *, queue: int) -> Replica:
        """The replica that so many samples go to; refused where each has too many waiting already."""
        ready = [replica for replica in self.replicas if replica.ready]
        if not ready:
            raise away("no replica of the model is ready")
        best = min(ready, key=lambda replica: replica.load)
        if best.load > 0 and best.load + samples > best.rows + queue:
            raise busy(f"the queue is full: {queue} samples wait already; try again in a second")
        return best


@frozen
class Options:
    """How a service is served. Without a token only this machine may reach it."""

    token: str | None = None
    cors: tuple[str, ...] = field(default=(), converter=tuple)  # origins of pages that may call it
    limits: Limits = field(factory=Limits)
    page: Path = PAGE

    def __attrs_post_init__(self) -> None:
        token = self.token
        if token is not None and not (token.isascii() and token.isprintable() and token.split() == [token]):
            raise Fault("the token is empty, or holds what no header can", "use letters and digits")
        for origin in self.cors:
            if not _ORIGIN.fullmatch(origin):
                raise Fault(f"`{origin}` is not an origin", "write it as `https://example.org`")


SERVICE = web.AppKey("service", Service)
OPTIONS = web.AppKey("options", Options)
