"""Texts that are continued, with OpenAI's own client."""

import pytest

from tests.web.conftest import MODEL
from tests.web.scripted import small_tokenizer

ANSWERS = {"the cat": " sat on the mat", "日本": "語🙂", "seed": "{seed}/{sample}"}


@pytest.fixture
def server(live):
    return live(ANSWERS)


@pytest.fixture
def complete(server, client):
    connected = client(server)
    return lambda prompt, **fields: connected.completions.create(model=MODEL, prompt=prompt, **fields)


@pytest.mark.parametrize("prompt", ["the cat", "日本"])
def test_a_text_is_continued(complete, prompt):
    answer = complete(prompt)
    assert (answer.object, answer.choices[0].text) == ("text_completion", ANSWERS[prompt])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == len(small_tokenizer().encode(ANSWERS[prompt]))
    streamed = list(complete(prompt, stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed) == ANSWERS[prompt]
    assert streamed[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices[0].text for chunk in streamed[:-1])


def test_ids_are_continued_as_they_are(complete, server):
    ids = small_tokenizer().encode("the cat")
    assert complete(ids).choices[0].text == ANSWERS["the cat"]
    assert server.engine.requests[0].prompt == tuple(ids)


def test_prompts_and_samples_are_numbered_through(complete):
    answer = complete(["seed", "the cat"], n=2, seed=5)
    assert [choice.text for choice in answer.choices] == ["5/0", "5/1", " sat on the mat", " sat on the mat"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    streamed = [""] * 4
    for chunk in complete(["seed", "the cat"], n=2, seed=5, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == [choice.text for choice in answer.choices]


def test_log_probabilities_stand_side_by_side(complete):
    told = complete("日本", logprobs=2).choices[0].logprobs
    count = len(small_tokenizer().encode(ANSWERS["日本"]))
    assert [
        len(column) for column in (told.tokens, told.token_logprobs, told.top_logprobs, told.text_offset)
    ] == [count] * 4
    assert told.text_offset == sorted(told.text_offset)
    assert set(told.text_offset) == {0, 1}
    assert {len(likeliest) for likeliest in told.top_logprobs} == {2}
    assert complete("日本").choices[0].logprobs is None


def test_a_stop_string_is_not_shown(complete):
    choice = complete("the cat", stop=" on", logprobs=0).choices[0]
    assert (choice.text, choice.finish_reason) == (" sat", "stop")
    assert "".join(choice.logprobs.tokens) == " sat"


def test_a_stream_tells_the_usage_that_was_asked_for(complete):
    *_, usage = complete("the cat", stream=True, stream_options={"include_usage": True})
    assert usage.choices == []
    assert usage.usage.prompt_tokens == 1 + len(small_tokenizer().encode("the cat"))
