"""Who goes away, reads slowly or sends nonsense harms nobody else, and holds no row."""

import json
import socket
import threading
import time

import pytest
from attrs import evolve

from tests.web.conftest import wait_until
from web.limits import Limits
from web.service import Options

LONG = {"long": "la " * 800, "hello": "hello you"}
CHAT = "/v1/chat/completions"


def limited(**limits) -> Options:
    return Options(limits=evolve(Limits(), **limits))


@pytest.mark.parametrize("fields", [{"stream": True}, {}, {"n": 4}, {"stream": True, "n": 4}])
def test_a_client_that_goes_away_frees_its_rows_at_once(live, fields):
    server = live(LONG, delay=0.005)
    connection = server.open_request("long", **fields)
    wait_until(lambda: server.running() == fields.get("n", 1))
    connection.close()
    assert wait_until(lambda: server.running() == 0) < 1
    assert 'abandoned_total{reason="gone"} 1' in server.ask("/metrics").body.decode()
    assert server.chat("hello").json["choices"][0]["message"]["content"] == "hello you"


def test_a_client_that_goes_away_while_it_waits_leaves_the_queue(live):
    server = live(LONG, rows=1, delay=0.005)
    first = server.open_stream("long")
    connection = server.open_request("long")
    wait_until(lambda: server.ask("/health").json["waiting"] == 1)
    connection.close()
    assert wait_until(lambda: server.ask("/health").json["waiting"] == 0) < 1
    assert server.running() == 1
    first.close()


def test_a_reader_that_stands_still_loses_its_row(live):
    server = live(
        {"long": "la " * 2_000, **LONG},
        options=limited(tokens=10_000, behind=50),
        context=20_000,
    )
    connection = server.open_request("long", stream=True, max_tokens=10_000)
    wait_until(lambda: server.running() == 1)
    wait_until(lambda: server.running() == 0)
    assert server.engine.cancelled != []
    assert server.chat("hello").status == 200
    connection.close()


def test_a_reader_that_stands_still_is_cut_off(live, caplog):
    server = live(
        {"long": "la " * 2_000},
        options=limited(tokens=10_000, write_seconds=0.2, behind=100_000),
        context=20_000,
    )
    connection = server.open_request("long", stream=True, max_tokens=10_000)
    wait_until(lambda: 'abandoned_total{reason="slow"} 1' in server.ask("/metrics").body.decode())
    assert server.running() == 0
    connection.settimeout(5)
    assert b"[DONE]" not in _all_of(connection)
    connection.close()
    assert caplog.text == ""


def test_a_reader_that_is_slow_but_reads_gets_all(live):
    server = live({"long": "la " * 1_000}, options=limited(behind=10_000))
    connection = server.open_request("long", stream=True, max_tokens=3_000)
    received = b""
    while b"[DONE]" not in received:
        received += connection.recv(20_000)
        time.sleep(0.005)
    connection.close()
    events = [part.partition(b"data: ")[2] for part in received.split(b"\n\n")]
    chunks = [json.loads(event.split(b"\r\n")[0]) for event in events if event.startswith(b"{")]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == "la " * 1_000


@pytest.mark.parametrize("body", ["{", "", "[1]", "\x00", '{"messages": [}', "[" * 9_000])
def test_malformed_bodies_are_bad_requests(live, body):
    reply = live().ask(CHAT, body)
    assert reply.status == 400
    assert set(reply.json["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_says_it_is_too_large_is_not_read(live):
    server = live(options=limited(body_bytes=1_000))
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
        )
        answer = connection.recv(4_096)
    assert b"413" in answer.split(b"\r\n")[0]
    assert b"more than 1,000 bytes" in answer
    assert b"Connection: close" in answer


def test_a_body_that_turns_out_too_large_is_refused(live):
    server = live(options=limited(body_bytes=1_000))
    with server.connect() as connection:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"800\r\n" + b"x" * 0x800 + b"\r\n")
        answer = connection.recv(4_096)
    assert b"413" in answer.split(b"\r\n")[0]
    assert b"more than 1,000 bytes" in answer
    assert b"Connection: close" in answer
    assert server.chat("hello").status == 200


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(live):
    server = live(options=limited(body_seconds=0.2))
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        connection.settimeout(5)
        answer = connection.recv(4_096)
    assert b"408" in answer.split(b"\r\n")[0]
    assert b"within 0.2 seconds" in answer


def test_a_connection_that_idles_is_closed(live):
    server = live(options=limited(idle_seconds=0.2))
    with server.connect() as silent, server.connect() as halfway:
        halfway.sendall(b"GET /health HTT")
        for connection in (silent, halfway):
            connection.settimeout(5)
            assert connection.recv(1) == b""


def test_others_are_answered_beside_many_that_idle(live):
    server = live(LONG)
    idle = [server.connect() for _ in range(200)]
    assert server.chat("hello").status == 200
    for connection in idle:
        connection.close()


def test_texts_that_wait_to_be_read_are_bounded(live, monkeypatch):
    server = live(options=limited(preparing=1))
    held = threading.Event()
    monkeypatch.setattr("web.chat_completions.parse_chat", lambda *_: held.wait(5))
    waiting = server.open_request("hello")
    wait_until(lambda: server.ask("/v1/completions", {"prompt": "x"}).status == 429)
    held.set()
    waiting.close()


def test_a_long_text_does_not_hold_up_the_loop(live, monkeypatch):
    server = live()
    from web.parsing import parse_chat

    answered, seen = threading.Event(), []

    def slow(*args):
        seen.append(answered.wait(5))
        return parse_chat(*args)

    monkeypatch.setattr("web.chat_completions.parse_chat", slow)
    connection = server.open_request("hello")
    assert server.ask("/health").status == 200
    answered.set()
    wait_until(lambda: seen)
    assert seen == [True]
    connection.close()


def test_connections_are_used_again(live):
    server = live(LONG)
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server.connect() as connection:
        connection.settimeout(5)
        for _ in range(3):
            connection.sendall(head + body)
            assert b"hello you" in _answer(connection)


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(1 << 16):
        received += piece
    return received


def _answer(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"}}"):
        received += connection.recv(4_096)
    return received
