"""A server begins where it may, and ends without breaking off answers: unless it is told twice."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runtime.faults import Fault
from tests.web.conftest import wait_until
from tests.web.scripted import scripted_app
from web.admission import ADMISSION
from web.service import SERVICE, Options
from web.serving import drain, listening

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.web.scripted import scripted_app
from web.serving import serve
serve(scripted_app({"long": "la " * 40}, delay=0.01), port=0, grace=20, ready=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def program():
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            assert process.stdout is not None
            yield process, str(urlsplit(process.stdout.readline().strip()).netloc)
        finally:
            process.kill()


@pytest.fixture
def ask():
    """Begin a request; the connection is closed when the test ends."""
    with ExitStack() as stack:

        def begin(address: str, **fields) -> HTTPConnection:
            connection = stack.enter_context(closing(HTTPConnection(address, timeout=10)))
            body = {"messages": [{"role": "user", "content": "long"}], **fields}
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            return connection

        yield begin


def health(address: str) -> dict:
    with closing(HTTPConnection(address, timeout=10)) as connection:
        connection.request("GET", "/health")
        return json.loads(connection.getresponse().read())


def test_a_signal_lets_running_answers_finish_and_takes_no_more(program, ask):
    process, address = program
    streaming, whole = ask(address, stream=True), ask(address)
    wait_until(lambda: health(address)["running"] == 2)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: health(address)["status"] == "draining")
    refused = ask(address).getresponse()
    assert refused.status == 503
    assert refused.headers["Retry-After"]
    assert b"[DONE]" in streaming.getresponse().read()
    assert json.loads(whole.getresponse().read())["choices"][0]["message"]["content"] == "la " * 40
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "ended\n", "")


def test_a_second_signal_ends_at_once_and_tells_who_reads(program, ask):
    process, address = program
    streaming = ask(address, stream=True, n=8)
    wait_until(lambda: health(address)["running"] == 8)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: health(address)["status"] == "draining")
    process.send_signal(signal.SIGTERM)
    received = streaming.getresponse().read()
    assert b"the server ends" in received
    assert b'"status":503' in received
    assert b"[DONE]" not in received
    output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (0, "ended\n")


def test_draining_waits_so_long_and_no_longer(ask):
    async def run() -> None:
        app = scripted_app({"long": "la " * 500}, delay=0.01)
        async with listening(app) as url:
            assert await drain(app, grace=5)  # nothing runs
            app[ADMISSION].draining = False
            await asyncio.to_thread(ask, urlsplit(url).netloc)
            while not app[SERVICE].replicas[0].running:
                await asyncio.sleep(0.001)
            begin = time.monotonic()
            assert not await drain(app, grace=0.1)
            assert time.monotonic() - begin >= 0.1
            assert app[SERVICE].replicas[0].running

    asyncio.run(run())


def begin(app, **where) -> str:
    async def run() -> str:
        async with listening(app, **where) as url:
            return url

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org", ""])
def test_an_address_that_others_reach_needs_a_token(host):
    with pytest.raises(Fault, match="no token is set"):
        begin(scripted_app({}), host=host)


def test_with_a_token_any_address_is_served():
    assert begin(scripted_app({}, options=Options(token="secret")), host="0.0.0.0").startswith(
        "http://0.0.0.0:"
    )


def test_a_port_that_is_taken_is_a_fault_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Fault, match=f"port {port} cannot be served on"):
            begin(scripted_app({}), port=port)
