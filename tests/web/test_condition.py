"""Health and metrics tell what is so."""

import re

from tests.web.conftest import wait_until

LINE = re.compile(r'(nanogen_\w+(?:\{(?:\w+="[^"\n]*",?)+\})?) (\d+(?:\.\d+)?)')


def figures(server) -> dict[str, float]:
    lines = server.ask("/metrics").body.decode().splitlines()
    plain = [line for line in lines if not line.startswith("# ")]
    return (
        {match[1]: float(match[2]) for match in map(LINE.fullmatch, plain) if match is not None}
        if plain
        else {}
    )


def test_health_counts_what_runs_and_what_waits(live):
    server = live({"long": "la " * 300}, rows=2, delay=0.01)
    assert server.ask("/health").json == {
        "status": "ok",
        "ready": True,
        "replicas": 1,
        "running": 0,
        "waiting": 0,
    }
    stream = server.open_stream("long", n=3)
    wait_until(lambda: server.running() == 2)
    assert server.ask("/health").json["waiting"] == 1
    stream.close()
    assert wait_until(lambda: server.running() == 0) < 1


def test_metrics_count_requests_tokens_and_times(live):
    server = live({"cat": "the cat sat"})
    server.chat("cat")
    server.chat("cat", stream=True, n=2)
    server.chat("cat", temperature=9)
    server.ask("/nowhere")
    told = figures(server)
    tokens = server.chat("cat").json["usage"]["completion_tokens"]
    assert told['nanogen_requests_total{route="/v1/chat/completions",status="200"}'] == 2
    assert told['nanogen_requests_total{route="/v1/chat/completions",status="400"}'] == 1
    assert told['nanogen_requests_total{route="unknown",status="404"}'] == 1
    assert told["nanogen_tokens_total"] == 3 * tokens
    assert told["nanogen_prompt_tokens_total"] == 2 * len(server.engine.requests[0].prompt)
    assert told["nanogen_first_token_seconds_count"] == 2
    assert told['nanogen_first_token_seconds_bucket{le="+Inf"}'] == 2
    assert told["nanogen_tokens_per_second_count"] == 3
    assert (told["nanogen_running"], told["nanogen_waiting"], told["nanogen_replicas"]) == (0, 0, 1)


def test_every_line_of_the_metrics_can_be_read(live):
    server = live()
    server.chat("hi")
    reply = server.ask("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.decode().splitlines()
    assert [
        line for line in lines if not line.startswith(("# HELP ", "# TYPE ")) and not LINE.fullmatch(line)
    ] == []
    assert reply.body.endswith(b"\n")


def test_several_replicas_share_the_work(live):
    server = live({"long": "la " * 300}, replicas=2, rows=1, delay=0.01)
    streams = [server.open_stream("long") for _ in range(2)]
    wait_until(lambda: [replica.running for replica in server.service.replicas] == [1, 1])
    assert server.ask("/health").json["replicas"] == 2
    for stream in streams:
        stream.close()
