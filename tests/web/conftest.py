"""Servers of scripted engines, and clients that talk to them without asking the environment for a proxy."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from attrs import frozen

from tests.web.scripted import ScriptedEngine, on_loopback, scripted_service
from web.app import make_app
from web.service import Options, Service

MODEL = "quickstart/base"


@frozen
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """What stands in the events of a stream; `[DONE]` as it is."""
        texts = [part.removeprefix("data: ") for part in self.body.decode().split("\n\n") if part]
        return [text if text == "[DONE]" else json.loads(text) for text in texts]


@frozen
class Live:
    """A server that runs in this process."""

    url: str
    service: Service

    @property
    def engine(self) -> ScriptedEngine:
        engine = self.service.replicas[0]._engine
        assert isinstance(engine, ScriptedEngine)
        return engine

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; a body that is no text or bytes is sent as JSON."""
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
        connection = HTTPConnection(*self.address, timeout=10)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def chat(self, text: str, **fields: Any) -> Reply:
        return self.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], **fields})

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address)

    def open_request(self, text: str, **fields: Any) -> socket.socket:
        """Ask, and read nothing of the answer; little of it fits on the way."""
        body = json.dumps({"messages": [{"role": "user", "content": text}], **fields}).encode()
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        connection.connect(self.address)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection

    def open_stream(self, text: str, **fields: Any) -> socket.socket:
        """Ask for a stream, and read its begin."""
        connection = self.open_request(text, stream=True, **fields)
        assert b"200 OK" in connection.recv(256)
        return connection

    def running(self) -> int:
        return self.ask("/health").json["running"]


def wait_until(happened: Callable[[], bool], *, seconds: float = 5.0) -> float:
    """How long it took; fails where it took too long."""
    begin = time.monotonic()
    while not happened():
        assert time.monotonic() - begin < seconds, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - begin


@pytest.fixture
def live() -> Iterator[Callable[..., Live]]:
    """Start a server: `live({"question": "answer"}, options=..., delay=...)`."""
    with ExitStack() as stack:

        def start(
            answers: Mapping[str, str] | None = None, *, options: Options | None = None, **engine: Any
        ) -> Live:
            service = scripted_service(answers or {}, **engine)
            return Live(stack.enter_context(on_loopback(make_app(service, options))), service)

        yield start


@pytest.fixture
def client() -> Iterator[Callable[..., openai.OpenAI]]:
    """OpenAI's own client of a server; it does not try again what was refused."""
    with ExitStack() as stack:

        def connect(server: Live, *, key: str = "none") -> openai.OpenAI:
            http = openai.DefaultHttpxClient(trust_env=False)
            made = openai.OpenAI(
                base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=10, http_client=http
            )
            return stack.enter_context(made)

        yield connect
