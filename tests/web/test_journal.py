"""One line for each request, without its text; and a fault of ours says nothing to the client."""

import logging

from tests.web.conftest import wait_until


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_a_request_is_one_line_without_its_text(live, caplog):
    caplog.set_level(logging.INFO, logger="nanogen.web")
    server = live({"whisper": "a secret"})
    server.chat("whisper", n=2)
    server.ask("/health")
    server.chat("whisper", temperature=9)
    wait_until(lambda: len(lines(caplog)) == 2)
    done, refused = lines(caplog)
    assert done.startswith("POST /v1/chat/completions 200, ")
    assert "written in 2 samples, first after" in done
    assert refused.startswith("POST /v1/chat/completions 400, ")
    assert "secret" not in caplog.text
    assert "whisper" not in caplog.text


def test_a_client_that_went_away_is_told_as_such(live, caplog):
    caplog.set_level(logging.INFO, logger="nanogen.web")
    server = live({"long": "la " * 300}, delay=0.01)
    connection = server.open_request("long")
    wait_until(lambda: server.running() == 1)
    connection.close()
    wait_until(lambda: any(" 499, " in line for line in lines(caplog)))


def test_a_fault_of_ours_is_told_to_the_log_alone(live, caplog, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a detail of ours")

    monkeypatch.setattr("web.chat_completions.parse_chat", broken)
    reply = live().chat("hi")
    assert reply.status == 500
    assert b"detail" not in reply.body
    assert "a detail of ours" in caplog.text


def test_unknown_routes_and_methods_are_errors_in_the_same_shape(live):
    server = live()
    assert server.ask("/v1/embeddings", {}).json["error"]["message"] == "POST /v1/embeddings: not found"
    reply = server.ask("/v1/completions")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
