"""Chats with OpenAI's own client: streams, stop strings, seeds, usage, log-probabilities, tool calls, errors."""

from typing import Any

import openai
import pytest

from tests.web.conftest import MODEL, wait_until
from tests.web.scripted import small_tokenizer
from web.limits import Limits
from web.service import Options

ANSWERS = {
    "cat": "the cat sat on the mat",
    "seed": "{seed} and {sample}, r {r}",
    "sum": "It is <|python_start|>1 + 12<|python_end|>, 13.",
    "Japanese": "日本語🙂",
}
DIALS = {"r": {"default": 4, "least": 1, "most": 16}}


@pytest.fixture
def server(live):
    return live(ANSWERS, dials=DIALS)


@pytest.fixture
def chat(server, client):
    """Ask in OpenAI's words; a keyword `extra` is for what it has no words for."""
    connected = client(server)

    def create(text: str, *, extra: dict | None = None, model: str = MODEL, **fields: Any) -> Any:
        messages = [{"role": "user", "content": text}]
        return connected.chat.completions.create(model=model, messages=messages, extra_body=extra, **fields)

    return create


def test_an_answer_comes_whole(chat):
    answer = chat("the cat?")
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWERS["cat"])
    assert (choice.finish_reason, choice.index, choice.logprobs) == ("stop", 0, None)
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert answer.id.startswith("chatcmpl-")


def test_usage_is_what_was_read_and_written(chat, server):
    usage = chat("the cat?", n=2).usage
    written = 2 * len(small_tokenizer().encode(ANSWERS["cat"]))
    assert usage.prompt_tokens == len(server.engine.requests[0].prompt)
    assert (usage.completion_tokens, usage.total_tokens) == (written, usage.prompt_tokens + written)


@pytest.mark.parametrize("question", ["cat", "Japanese", "anything else 🙂"])
def test_a_stream_joined_is_the_answer(chat, question):
    chunks = list(chat(question, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == ANSWERS.get(question, question)
    assert "\ufffd" not in "".join(pieces)
    assert len([piece for piece in pieces if piece]) > 1
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_ends_with_its_figures_and_the_usage_that_was_asked_for(chat):
    *_, last, usage = chat("cat", stream=True, stream_options={"include_usage": True})
    assert usage.choices == []
    assert usage.usage.completion_tokens == last.nanogen["tokens"] > 0
    assert last.nanogen["seconds"] > 0
    assert last.nanogen["tokens_per_second"] > 0


def test_an_answer_that_is_cut_off_says_so(chat):
    choice = chat("cat", max_tokens=3).choices[0]
    assert choice.finish_reason == "length"
    assert choice.message.content == small_tokenizer().decode(small_tokenizer().encode(ANSWERS["cat"])[:3])


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_before_it_and_frees_the_row(chat, server, stream):
    answer = chat("cat", stop=["dog", " on the"], stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    text = "".join((c.delta if stream else c.message).content or "" for c in choices)
    assert (text, choices[-1].finish_reason) == ("the cat sat", "stop")
    wait_until(lambda: (1, 0) in server.engine.cancelled)


def test_a_seed_repeats_an_answer_and_one_that_is_not_given_is_told(chat):
    assert chat("seed", seed=7).choices[0].message.content == "7 and 0, r 4"
    first = chat("seed")
    again = chat("seed", seed=first.nanogen["seed"])
    assert again.choices[0].message.content == first.choices[0].message.content
    *_, last = chat("seed", stream=True, seed=9)
    assert last.nanogen["seed"] == 9


def test_samples_are_told_apart(chat):
    whole = chat("seed", seed=7, n=3)
    texts = [f"7 and {n}, r 4" for n in range(3)]
    assert [choice.message.content for choice in whole.choices] == texts
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    streamed = ["", "", ""]
    for chunk in chat("seed", seed=7, n=3, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts


def test_what_openai_has_no_words_for_reaches_the_engine(chat, server):
    extra = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "dials": {"r": 8}}
    assert (
        chat("seed", seed=1, extra=extra, temperature=0.3, top_p=0.5)
        .choices[0]
        .message.content.endswith("r 8")
    )
    sampling = server.engine.requests[0].sampling
    assert (sampling.top_k, sampling.min_p, sampling.repetition_penalty) == (5, 0.1, 1.2)
    assert (sampling.temperature, sampling.top_p) == (0.3, 0.5)


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_are_of_the_tokens_of_the_text(chat, stream):
    answer = chat("Japanese", logprobs=True, top_logprobs=2, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    content = [scored for choice in choices if choice.logprobs for scored in choice.logprobs.content]
    assert b"".join(bytes(scored.bytes) for scored in content).decode() == ANSWERS["Japanese"]
    assert {scored.logprob for scored in content} == {-0.5}
    assert {len(scored.top_logprobs) for scored in content} == {2}
    assert content[0].top_logprobs[0].token == content[0].token
    assert content[0].token.startswith("bytes:\\x")


def test_a_tool_call_is_told_in_parts_and_its_text_is_plain(chat):
    answer = chat("sum")
    message = answer.choices[0].message
    assert message.content == "It is , 13."
    assert message.nanogen["parts"] == [
        {"type": "text", "text": "It is "},
        {"type": "python", "text": "1 + 12"},
        {"type": "output", "text": "13"},
        {"type": "text", "text": ", 13."},
    ]
    words = len(small_tokenizer().encode("It is ")) + len(small_tokenizer().encode(", 13."))
    call = 4 + len(small_tokenizer().encode("1 + 12")) + len(small_tokenizer().encode("13"))
    assert answer.usage.completion_tokens == words + call


def test_a_tool_call_in_a_stream_has_no_content(chat):
    deltas = [chunk.choices[0].delta for chunk in chat("sum", stream=True)]
    assert "".join(delta.content or "" for delta in deltas) == "It is , 13."
    called = [delta.nanogen for delta in deltas if getattr(delta, "nanogen", None)]
    for kind, text in (("python", "1 + 12"), ("output", "13")):
        assert "".join(told["text"] for told in called if told["kind"] == kind) == text
    assert not any(delta.content for delta in deltas if getattr(delta, "nanogen", None))


def test_an_answer_with_its_tool_call_can_be_sent_back(server, client, chat):
    parts = chat("sum").choices[0].message.nanogen["parts"]
    messages: Any = [
        {"role": "user", "content": "sum"},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": "cat"},
    ]
    answer = client(server).chat.completions.create(model=MODEL, messages=messages)
    assert answer.choices[0].message.content == ANSWERS["cat"]
    assert small_tokenizer().special["output_start"] in server.engine.requests[-1].prompt


def test_a_plain_model_continues_the_text(live, client):
    server = live({"once": " upon a time"}, plain=True)
    messages: Any = [{"role": "user", "content": "once"}]
    answer = client(server).chat.completions.create(model=MODEL, messages=messages)
    assert answer.choices[0].message.content == " upon a time"
    assert server.engine.requests[0].tool is None


def test_what_is_wrong_with_a_request_is_raised_as_openai_does(chat):
    with pytest.raises(openai.BadRequestError, match="temperature") as bad:
        chat("cat", temperature=3)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.NotFoundError) as missing:
        chat("cat", model="gpt-4o")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="`r` goes from 1 to 16"):
        chat("cat", extra={"dials": {"r": 99}})
    with pytest.raises(openai.BadRequestError, match="response_format"):
        chat("cat", response_format={"type": "json_object"})


def test_a_stream_that_cannot_begin_is_an_error_and_no_stream(chat):
    with pytest.raises(openai.BadRequestError, match="no dial `x`"):
        chat("cat", stream=True, extra={"dials": {"x": 1}})


def test_a_missing_token_is_an_authentication_error(live, client):
    server = live(ANSWERS, options=Options(token="secret"))
    with pytest.raises(openai.AuthenticationError):
        client(server).models.list()
    assert client(server, key="secret").models.list().data[0].id == MODEL


def test_a_full_queue_is_a_rate_limit_that_says_when_to_come_again(live, client):
    server = live({"long": "la " * 400}, options=Options(limits=Limits(queue=1)), rows=1, delay=0.01)
    with client(server) as connected:
        messages: Any = [{"role": "user", "content": "long"}]
        streams = [
            connected.chat.completions.create(model=MODEL, messages=messages, stream=True) for _ in range(2)
        ]
        with pytest.raises(openai.RateLimitError) as full:
            connected.chat.completions.create(model=MODEL, messages=messages)
        assert full.value.response.headers["Retry-After"] == "1"
        for stream in streams:
            stream.close()


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails_is_an_error_and_never_a_wait(live, client, stream):
    server = live({"break": "{fail}", "long": "la " * 400}, delay=0.01)
    with client(server) as connected:
        messages: Any = [{"role": "user", "content": "break"}]
        with pytest.raises(openai.APIError, match="the engine failed"):
            list(connected.chat.completions.create(model=MODEL, messages=messages, stream=stream))
        with pytest.raises(openai.InternalServerError, match="no replica"):
            connected.chat.completions.create(model=MODEL, messages=messages)
    assert server.ask("/health").status == 503
