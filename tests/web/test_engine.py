"""The real engine behind the server: answers in a crowd are those alone, and who leaves takes nobody along."""

import threading
from typing import Any

import pytest

from nanogen.compiler import compile_text
from runtime.chat.conversation import Chat
from runtime.decoding.engine import Engine
from runtime.model import build, initialize
from tests.web.conftest import Live, wait_until
from tests.web.scripted import on_loopback, small_tokenizer
from web.app import make_app
from web.replica import Replica
from web.service import Service

SPEC = """
kind = "model"
language = 1
[dims]
vocab = 300
context = 256
[dial.r]
default = 2
max = 9
[module.attention]
q = "linear(x, 16)"
k = "linear(x, 16)"
mix = "attend(rope(split(q, 2), 100), rope(split(k, 2), 100), split(x, 2))"
y = "linear(flatten(mix), 16)"
[loop.think]
inputs = ["s", "e"]
times = "r"
mix = "attention(rms_norm(s + e))"
s = "rms_norm(s + mix)"
[model]
embed = "embedding(tokens, vocab, 16)"
think = "think(embed, embed)"
logits = "linear(think, vocab, init=normal(1))"
"""


@pytest.fixture(scope="module")
def server():
    compiled = compile_text(SPEC)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=3)
    tokenizer = small_tokenizer()
    engine = Engine(model.eval(), compiled.blueprint, rows=8)
    service = Service("small", Chat(tokenizer), tokenizer, (Replica(engine),))
    with on_loopback(make_app(service)) as url:
        yield Live(url, service)


def text(server: Live, question: str, **fields: Any) -> str:
    reply = server.chat(question, **{"max_tokens": 40, **fields})
    assert reply.status == 200, reply.body
    return reply.json["choices"][0]["message"]["content"]


def test_a_seed_gives_the_same_answer_alone_and_in_a_crowd_that_comes_and_goes(server):
    asked = [{"question": "cat" * n, "seed": n, "max_tokens": 10 * n} for n in range(1, 9)]
    alone = [text(server, **fields) for fields in asked]
    assert len(set(alone)) == len(alone)
    found: dict[int, str] = {}

    def ask(place: int) -> None:
        found[place] = text(server, **asked[place])

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(asked))]
    leaving = [server.open_request("dog", max_tokens=200, seed=n) for n in range(4)]
    for thread in threads:
        thread.start()
    for connection in leaving:
        connection.close()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(len(asked))] == alone
    assert server.service.ready


def test_one_of_several_rows_is_left_and_the_others_go_on(server):
    connections = [server.open_request("dog", max_tokens=240, seed=n) for n in range(3)]
    wait_until(lambda: server.running() == 3)
    connections[0].close()
    wait_until(lambda: server.running() == 2)
    for connection in connections[1:]:
        connection.close()
    assert wait_until(lambda: server.running() == 0) < 1
    assert server.service.ready


def test_dials_and_what_it_does_not_know_reach_the_client(server):
    assert text(server, "cat", seed=1, dials={"r": 2}) == text(server, "cat", seed=1)
    assert text(server, "cat", seed=1, dials={"r": 5}) != text(server, "cat", seed=1)
    refused = server.chat("cat", dials={"r": 10})
    assert (refused.status, "from 1 to 9" in refused.json["error"]["message"]) == (400, True)
    assert server.ask("/v1/models").json["data"][0]["nanogen"]["dials"]["r"]["most"] == 9


def test_log_probabilities_are_the_models(server):
    reply = server.chat("cat", temperature=0, logprobs=True, top_logprobs=2, max_tokens=20).json
    content = reply["choices"][0]["logprobs"]["content"]
    assert content
    for scored in content:
        best, second = scored["top_logprobs"]
        assert scored["logprob"] <= best["logprob"] <= 0
        assert best["logprob"] >= second["logprob"]
