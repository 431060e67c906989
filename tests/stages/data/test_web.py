"""Asking a server: what is worth asking again, who gets the token, and what is never asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from stages.data.offline import VARIABLE
from stages.data.web import Hiccup, Patience, Refused, ask, ask_json, md5_of

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list]]:
    """A server with these answers one after the other, and what it was asked."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args) -> None:
            pass

        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers.items())))
            status, headers, body = left.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch):
    for name in (VARIABLE, "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def patience() -> tuple[Patience, list[float]]:
    slept: list[float] = []
    return Patience(tries=5, first=1.0, sleep=slept.append), slept


def test_it_waits_longer_each_time_and_as_long_as_it_is_told():
    busy = (503, {}, b"")
    waiting, slept = patience()
    with answering(busy, busy, (429, {"Retry-After": "7"}, b""), (200, {}, b"[1]")) as (url, _):
        assert ask_json(url, waiting) == ([1], None)
    assert 0.5 <= slept[0] <= 1.0 <= slept[1] <= 2.0
    assert slept[2] == 7.0


def test_patience_runs_out_and_says_why():
    waiting, slept = patience()
    with answering(*[(500, {}, b"")] * 5) as (url, _), pytest.raises(Hiccup, match="answers 500"):
        ask_json(url, waiting)
    assert len(slept) == 4


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_will_not_come_is_asked_for_once(status: int):
    waiting, slept = patience()
    with answering((status, {}, b"")) as (url, asked), pytest.raises(Refused, match=f"answers {status}"):
        ask_json(url, waiting)
    assert (len(asked), slept) == (1, [])


def test_half_an_answer_is_asked_for_again():
    waiting, _ = patience()
    with answering((200, {}, b'[{"a"'), (200, {}, b"[2]")) as (url, _):
        assert ask_json(url, waiting) == ([2], None)


def test_the_next_page_is_named_by_its_link():
    link = '<http://x/1>; rel="prev", <http://x/3?cursor=a>; rel="next"'
    with answering((200, {"Link": link}, b"[]")) as (url, _):
        assert ask_json(url, patience()[0]) == ([], "http://x/3?cursor=a")


def test_a_token_does_not_go_along_to_another_server(monkeypatch: pytest.MonkeyPatch):
    with answering((200, {}, b"bytes")) as (store, at_store):
        within, away = (302, {"Location": "/moved"}, b""), (302, {"Location": f"{store}/file"}, b"")
        with answering(within, away) as (hub, at_hub):
            monkeypatch.setenv("HF_ENDPOINT", hub)
            monkeypatch.setenv("HF_TOKEN", "secret")
            with ask(f"{hub}/file", {"Range": "bytes=3-"}) as answer:
                assert answer.read() == b"bytes"
    assert [headers["Authorization"] for _, headers in at_hub] == ["Bearer secret"] * 2
    [(_, headers)] = at_store
    assert "Authorization" not in headers
    assert headers["Range"] == "bytes=3-"


def test_nothing_but_the_web_is_asked_and_nothing_offline(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Refused, match="no address of the web"):
        ask("file:///etc/hostname")
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(Refused, match="nothing is asked of example"):
        ask("https://example.org/a")


def test_only_the_tag_of_a_plain_object_of_s3_is_a_hash():
    s3 = {"ETag": f'"{MD5}"', "x-amz-request-id": "1"}
    assert md5_of(s3) == MD5
    assert md5_of({**s3, "ETag": f'"{MD5}-3"'}) is None
    assert md5_of({**s3, "x-amz-server-side-encryption": "aws:kms"}) is None
    assert md5_of({"ETag": f'"{MD5}"'}) is None
