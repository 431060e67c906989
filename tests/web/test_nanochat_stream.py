"""What nanochat's own page and clients read."""


def test_a_stream_is_tokens_and_then_that_it_is_done(live):
    server = live({"cat": "the <|python_start|>1<|python_end|>cat 日本"})
    reply = server.ask("/chat/completions", {"messages": [{"role": "user", "content": "cat"}]})
    *tokens, done = reply.events
    assert reply.status == 200
    assert done == {"done": True}
    assert "".join(event["token"] for event in tokens) == "the cat 日本"
    assert {event["gpu"] for event in tokens} == {0}
