"""Requests are read strictly: what cannot be done is refused by the name of its field, and nothing is guessed."""

import json
from typing import Any

import pytest
from attrs import evolve

from runtime.chat.conversation import parse_messages
from runtime.decoding.request import Sampling
from tests.web.scripted import scripted_service, small_tokenizer
from web.limits import Limits
from web.parsing import HARMLESS, Ask, parse_chat, parse_completion, parse_nanochat
from web.refusals import Refusal

SERVICE = scripted_service({}, context=2_000, dials={"r": {"default": 4, "least": 1, "most": 16}})
HELLO = [{"role": "user", "content": "the cat"}]


def chat(limits: Limits | None = None, **fields: Any) -> Ask:
    body = json.dumps({"messages": HELLO, **fields}).encode()
    return parse_chat(body, SERVICE, limits or Limits())


def completion(prompt: Any, limits: Limits | None = None, **fields: Any) -> Ask:
    return parse_completion(json.dumps({"prompt": prompt, **fields}).encode(), SERVICE, limits or Limits())


def refused(parse, *args: Any, **fields: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        parse(*args, **fields)
    return raised.value


def test_what_is_not_said_is_the_services_choice():
    ask = chat()
    [request] = ask.requests
    assert request.tokens == SERVICE.tokens
    assert evolve(request.sampling, seed=0) == evolve(SERVICE.sampling, seed=0)
    assert (request.samples, request.dials, ask.stops, ask.stream, ask.usage) == (1, {}, (), False, False)
    assert request.prompt == SERVICE.format.prompt(parse_messages(HELLO))
    assert (request.stop, request.never) == (SERVICE.format.stop, SERVICE.format.never)
    assert request.tool is not None


def test_everything_that_can_be_said_is_heard():
    ask = chat(
        model="base",
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=9,
        max_completion_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        min_p=0.1,
        repetition_penalty=1.1,
        n=3,
        stop=["a", "b"],
        seed=-5,
        logprobs=True,
        top_logprobs=2,
        dials={"r": 8},
    )
    [request] = ask.requests
    assert request.sampling == Sampling(0.5, 5, 0.9, 0.1, 1.1, -5, 2)
    assert (request.tokens, request.samples, request.dials) == (7, 3, {"r": 8})
    assert (ask.stops, ask.stream, ask.usage, ask.samples) == (("a", "b"), True, True, 3)


def test_a_seed_that_is_not_said_is_drawn_anew():
    assert len({chat().seed for _ in range(8)}) > 1
    assert 0 <= chat().seed < 2**31


def test_null_is_an_absence():
    fields = dict.fromkeys(["model", "stop", "n", "top_k", "temperature", "tools", "seed", "dials", "stream"])
    assert evolve(chat(**fields), requests=()) == evolve(chat(), requests=())


def test_ignored_fields_change_nothing():
    asks = [chat(seed=1), chat(seed=1, **dict.fromkeys(HARMLESS, "anything"))]
    first, second = (evolve(ask.requests[0], tool=None) for ask in asks)  # a partial equals itself only
    assert first == second


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": 1.0}, "top_k"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 4097}, "max_tokens"),
        ({"max_completion_tokens": 4097}, "max_completion_tokens"),
        ({"stop": 7}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": "a" * 201}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include": True}}, "include"),
        ({"logprobs": 1}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"dials": {"r": "8"}}, "dials"),
        ({"dials": [8]}, "dials"),
        ({"model": 7}, "model"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": [{}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"verbosity": "low"}, "verbosity"),
        ({"temprature": 1}, "temprature"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_name(fields, param):
    refusal = refused(chat, **fields)
    assert (refusal.status, refusal.param) == (400, param)
    assert f"`{param}" in refusal.message or param == "messages"


def test_what_asks_for_nothing_else_is_no_fault():
    chat(
        tools=[],
        tool_choice="auto",
        response_format={"type": "text"},
        logit_bias={},
        frequency_penalty=0,
        presence_penalty=0.0,
        modalities=["text"],
    )


@pytest.mark.parametrize(
    ("limits", "fields", "named"),
    [
        (Limits(messages=2), {"messages": HELLO * 3}, "2 are allowed"),
        (Limits(message_characters=3), {}, "3 are allowed"),
        (Limits(characters=6), {}, "6 are allowed"),
        (Limits(tokens=10), {"max_tokens": 11}, "from 1 to 10"),
        (Limits(samples=3), {"n": 4}, "from 1 to 3"),
        (Limits(stops=1), {"stop": ["a", "b"]}, "1 are allowed"),
        (Limits(stop_characters=2), {"stop": "abc"}, "longer than 2"),
        (Limits(logprobs=3), {"logprobs": True, "top_logprobs": 4}, "from 0 to 3"),
    ],
)
def test_a_limit_is_named_with_its_number(limits, fields, named):
    assert named in refused(chat, limits, **fields).message


def test_the_tokens_that_are_not_asked_for_keep_within_the_limit():
    assert chat(Limits(tokens=10)).requests[0].tokens == 10


def test_a_prompt_that_leaves_no_room_is_refused_as_clients_know_it():
    messages = [{"role": "user", "content": "日本" * 500}]
    refusal = refused(chat, messages=messages)
    assert (refusal.code, refusal.param) == ("context_length_exceeded", "messages")
    assert "2,000" in refusal.message


def test_a_message_of_no_known_shape_is_named_by_its_index():
    messages = [*HELLO, {"role": "assistant", "content": "ok"}, {"role": "user", "content": 7}]
    assert "messages[2]" in refused(chat, messages=messages).message


@pytest.mark.parametrize("name", ["quickstart/base", "base"])
def test_the_model_goes_by_its_name_and_how_that_ends(name):
    chat(model=name)


@pytest.mark.parametrize("name", ["gpt-4o", "quickstart", "ase", "", "/base", "x/quickstart/base"])
def test_another_model_is_not_found(name):
    refusal = refused(chat, model=name)
    assert (refusal.status, refusal.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b'{"a": NaN}', b"\xff\xfe", b'{"a": ' + b"9" * 5_000 + b"}", b"[" * 100_000],
    ids=range(8),
)
def test_what_is_no_json_object_is_refused(body):
    refusal = refused(parse_chat, body, SERVICE, Limits())
    assert refusal.status == 400
    assert "the body" in refusal.message
    assert len(refusal.message) < 200


def test_a_developer_is_what_the_system_was():
    asks = [
        chat(messages=[{"role": role, "content": "Be brief."}, *HELLO]) for role in ("system", "developer")
    ]
    assert asks[0].requests[0].prompt == asks[1].requests[0].prompt


def test_a_misspelt_field_is_told_the_nearest():
    assert "did you mean `temperature`?" in refused(chat, temprature=1).message


def test_an_unknown_field_of_any_length_is_told_in_brief():
    assert len(refused(chat, **{"x" * 500_000: 1}).message) < 200


def test_prompts_are_texts_or_ids_or_lists_of_them():
    tokenizer = small_tokenizer()
    begun = (tokenizer.bos, *tokenizer.encode("the cat"))
    assert [r.prompt for r in completion("the cat").requests] == [begun]
    assert [r.prompt for r in completion(["the cat", ""]).requests] == [begun, (tokenizer.bos,)]
    assert [r.prompt for r in completion([1, 2, 3]).requests] == [(1, 2, 3)]
    assert [r.prompt for r in completion([[1, 2], [3]]).requests] == [(1, 2), (3,)]


def test_samples_are_counted_over_all_prompts():
    assert completion(["a", "b"], n=3).samples == 6
    assert "3 are allowed" in refused(completion, ["a", "b"], Limits(samples=3), n=2).message


@pytest.mark.parametrize("prompt", [None, [], 7, [[]], ["a", 7], [True], {"a": 1}, [1.5], ["a"] * 17])
def test_other_prompts_are_refused(prompt):
    assert refused(completion, prompt).param == "prompt"


def test_a_completion_draws_no_special_tokens_and_calls_no_tool():
    [request] = completion("the cat").requests
    special = small_tokenizer().special
    assert request.tool is None
    assert request.stop == {special["bos"], special["assistant_end"]}
    assert request.stop | request.never == set(special.values())


@pytest.mark.parametrize(
    ("field", "value"), [("echo", True), ("suffix", "x"), ("best_of", 2), ("logprobs", 21)]
)
def test_what_completions_cannot_do_is_refused_by_name(field, value):
    assert refused(completion, "a", **{field: value}).param == field


def test_nanochats_clients_get_its_defaults():
    ask = parse_nanochat(json.dumps({"messages": HELLO}).encode(), SERVICE, Limits())
    [request] = ask.requests
    assert (request.sampling.temperature, request.sampling.top_k, request.tokens) == (0.8, 50, 512)
    assert ask.stream
    fields = {"messages": HELLO, "temperature": 0, "max_tokens": 5, "top_k": 0}
    [request] = parse_nanochat(json.dumps(fields).encode(), SERVICE, Limits()).requests
    assert (request.sampling.temperature, request.sampling.top_k, request.tokens) == (0, None, 5)
    assert refused(parse_nanochat, json.dumps({**fields, "n": 2}).encode(), SERVICE, Limits()).param == "n"
