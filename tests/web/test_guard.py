"""Strangers stay out: without the token, from pages of other sites, under names that were rebound."""

import pytest

from runtime.faults import Fault
from web.guard import CONTENT_SECURITY_POLICY, is_loopback
from web.service import Options

TOKEN, ELSEWHERE = "s3cret", "https://chat.example.org"
CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "hi"}]}


def test_every_response_holds_the_page_to_itself(live):
    server = live()
    replies = [
        server.ask("/health"),
        server.ask("/nowhere"),
        server.ask(CHAT, {}),
        server.chat("hi", stream=True),
        server.ask(CHAT, "", method="OPTIONS"),
    ]
    assert [reply.status for reply in replies] == [200, 404, 400, 200, 405]
    for reply in replies:
        assert reply.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    assert "unsafe" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Basic s3cret", 401),
        ("Bearer s3cret\xe9", 401),
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
    ],
)
def test_a_token_is_asked_for(live, header, status):
    server = live(options=Options(token=TOKEN))
    headers = {} if header is None else {"Authorization": header}
    for path, body in (
        (CHAT, BODY),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/models", None),
        ("/metrics", None),
    ):
        reply = server.ask(path, body, headers=headers)
        assert reply.status == status, path
        if status == 401:
            assert reply.headers["WWW-Authenticate"] == "Bearer"
            assert reply.json["error"]["code"] == "invalid_api_key"
    assert server.engine.requests == [] or status == 200


def test_the_page_and_the_health_need_no_token(live, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("")
    server = live(options=Options(token=TOKEN, page=tmp_path))
    assert [server.ask(path).status for path in ("/", "/page/app.js", "/health")] == [200, 200, 200]
    assert server.ask("/health", BODY).status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "[::1", "10.0.0.1"]
)
def test_a_name_that_was_rebound_is_refused_where_no_token_protects(live, host):
    assert live().ask("/health", headers={"Host": host}).status in (400, 403)
    server = live(options=Options(token=TOKEN))
    if host and "[" not in host:
        assert server.ask("/health", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "127.0.0.1:8000", "[::1]:8000", "127.8.9.1", "LOCALHOST"]
)
def test_names_of_this_machine_are_answered(live, host):
    assert live().ask("/health", headers={"Host": host}).status == 200


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://localhost:1", "http://127.0.0.1"])
def test_pages_of_other_origins_cost_nothing(live, origin):
    server = live()
    reply = server.ask(CHAT, BODY, headers={"Origin": origin, "Content-Type": "text/plain"})
    assert (reply.status, reply.json["error"]["code"]) == (403, "unknown_origin")
    assert server.engine.requests == []


def test_the_page_itself_may_call(live):
    server = live()
    assert server.ask(CHAT, BODY, headers={"Origin": server.url}).status == 200


def test_pages_of_listed_origins_may_call_and_read(live):
    server = live(options=Options(cors=(ELSEWHERE,), token=TOKEN))
    asked = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization, content-type"
    before = server.ask(CHAT, "", method="OPTIONS", headers=asked)
    assert before.status == 204
    assert before.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    reply = server.ask(CHAT, BODY, headers={"Origin": ELSEWHERE, "Authorization": f"Bearer {TOKEN}"})
    assert reply.status == 200
    for answer in (before, reply):
        assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE
        assert answer.headers["Vary"] == "Origin"
    other = server.ask(CHAT, "", method="OPTIONS", headers={**asked, "Origin": "https://other.example"})
    assert other.status == 403
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "é"])
def test_a_token_that_no_header_can_carry_is_a_fault(token):
    with pytest.raises(Fault, match="token"):
        Options(token=token)


@pytest.mark.parametrize(
    "origin", ["*", "chat.example.org", "https://chat.example.org/", "https://*.example.org"]
)
def test_what_is_no_origin_is_a_fault(origin):
    with pytest.raises(Fault, match="origin"):
        Options(cors=[origin])


def test_loopback_is_known_in_both_families():
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "", "example.org", "192.168.0.1"]))
