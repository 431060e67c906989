"""Turn the JSON of a request into what the engine is asked, strictly. Knows the fields, and nothing of HTTP.

All of it is plain work on text that may take a while: callers run it in a thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from runtime.chat.conversation import Plain, parse_messages
from runtime.chat.message import Message
from runtime.decoding.request import Request, Sampling
from runtime.faults import Fault
from web.fields import Fields, read_object, refuse
from web.limits import Limits
from web.refusals import Refusal
from web.service import Service

RANDOM_SEEDS = 2**31  # a client in any language can send one of these back
LEAST_TOP_P = 1e-6  # the likeliest alone: OpenAI's 0

# Fields of OpenAI's that change nothing of an answer of ours
HARMLESS = (
    "user",
    "store",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "prediction",  # a guess of the answer, to have it sooner
    "parallel_tool_calls",
)

# Fields of OpenAI's that would change the answer, and the values that ask for what is done anyway
UNSUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
}
UNSUPPORTED_IN_CHATS: Mapping[str, tuple[Any, ...]] = {
    **UNSUPPORTED,
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "reasoning_effort": ("none",),
    "verbosity": (),
    "web_search_options": (),
    "moderation": (),
}
UNSUPPORTED_IN_COMPLETIONS: Mapping[str, tuple[Any, ...]] = {
    **UNSUPPORTED,
    "echo": (False,),
    "suffix": ("",),
    "best_of": (1,),
}


@frozen
class Ask:
    """What a request asks for. Samples of all its requests are numbered through: those of the first come first."""

    requests: tuple[Request, ...]
    stops: tuple[str, ...]
    stream: bool
    usage: bool  # told at the end of a stream

    @property
    def seed(self) -> int:
        return self.requests[0].sampling.seed

    @property
    def samples(self) -> int:
        return sum(request.samples for request in self.requests)

    @property
    def prompt_tokens(self) -> int:
        return sum(len(request.prompt) for request in self.requests)


def parse_chat(body: bytes, service: Service, limits: Limits) -> Ask:
    """A request to /v1/chat/completions."""
    fields = Fields(read_object(body))
    _check_model(fields, service)
    messages = fields.take("messages")
    top = fields.whole("top_logprobs", None, least=0, most=limits.logprobs)
    logprobs = fields.flag("logprobs")
    if top is not None and not logprobs:
        refuse("top_logprobs", "`top_logprobs` is asked for without `logprobs`")
    ask = _read_common(fields, service, limits, logprobs=(top or 0) if logprobs else None)
    fields.unsupported(UNSUPPORTED_IN_CHATS)
    fields.ignore(HARMLESS)
    fields.end()
    prompt = _chat_prompt(messages, service, limits)
    return _asked_of(service, limits, ask, (prompt,), "messages", stop=service.format.stop, chat=True)


def parse_completion(body: bytes, service: Service, limits: Limits) -> Ask:
    """A request to /v1/completions: text or ids that are continued, by a model of either kind."""
    fields = Fields(read_object(body))
    _check_model(fields, service)
    prompt = fields.take("prompt")
    logprobs = fields.whole("logprobs", None, least=0, most=limits.logprobs)
    ask = _read_common(fields, service, limits, logprobs=logprobs)
    fields.unsupported(UNSUPPORTED_IN_COMPLETIONS)
    fields.ignore(HARMLESS)
    fields.end()
    prompts = _completion_prompts(prompt, service, limits)
    plain = Plain(service.tokenizer)
    return _asked_of(
        service, limits, ask, prompts, "prompt", stop=service.format.stop | plain.stop, chat=False
    )


def parse_nanochat(body: bytes, service: Service, limits: Limits) -> Ask:
    """A request to /chat/completions as nanochat's clients send it, with their defaults."""
    fields = Fields(read_object(body))
    fields.unsupported({"n": (1,)})  # its stream does not tell samples apart
    messages = fields.take("messages")
    defaults = evolve(service, tokens=512, sampling=Sampling(temperature=0.8, top_k=50))
    ask = _read_common(fields, defaults, limits, logprobs=None)
    fields.end()
    prompt = _chat_prompt(messages, service, limits)
    return evolve(
        _asked_of(service, limits, ask, (prompt,), "messages", stop=service.format.stop, chat=True),
        stream=True,
    )


# -- what all requests may say


def _read_common(fields: Fields, service: Service, limits: Limits, *, logprobs: int | None) -> Ask:
    """Everything but the prompts; the one request in it has none yet."""
    seed = fields.whole("seed", None, least=-(2**63), most=2**63 - 1)
    usual = service.sampling
    sampling = Sampling(
        temperature=fields.number("temperature", usual.temperature, least=0, most=2),
        top_k=fields.whole("top_k", usual.top_k, least=0, most=2**31) or None,
        top_p=fields.number("top_p", usual.top_p, least=0, most=1) or LEAST_TOP_P,
        min_p=fields.number("min_p", usual.min_p, least=0, most=1),
        repetition_penalty=fields.number(
            "repetition_penalty", usual.repetition_penalty, least=0.01, most=100
        ),
        seed=secrets.randbelow(RANDOM_SEEDS) if seed is None else seed,
        logprobs=logprobs,
    )
    request = Request(
        prompt=(),
        tokens=_tokens(fields, service, limits),
        sampling=sampling,
        samples=fields.whole("n", 1, least=1, most=limits.samples),
        dials=_dials(fields),
    )
    stops = _stops(fields.take("stop"), limits)
    stream, options = fields.flag("stream"), fields.inside("stream_options")
    usage = options.flag("include_usage")
    options.ignore(["include_obfuscation"])
    options.end()
    return Ask((request,), stops, stream, usage)


def _asked_of(
    service: Service,
    limits: Limits,
    ask: Ask,
    prompts: Sequence[tuple[int, ...]],
    param: str,
    *,
    stop: frozenset[int],
    chat: bool,
) -> Ask:
    """The same with its prompts, and with what the format of the model wants."""
    for prompt in prompts:
        if len(prompt) >= service.context:
            message = f"the prompt has {len(prompt):,} tokens, and the context holds {service.context:,} with the answer"
            refuse(param, message, code="context_length_exceeded")
    never = service.format.never if chat else frozenset(service.tokenizer.special.values()) - stop
    tool = service.format.tool if chat else None
    requests = (
        evolve(ask.requests[0], prompt=prompt, stop=stop, never=never, tool=tool) for prompt in prompts
    )
    asked = evolve(ask, requests=tuple(requests))
    if asked.samples > limits.samples:
        refuse("n", f"{asked.samples:,} samples are asked for, and {limits.samples} are allowed")
    return asked


def _check_model(fields: Fields, service: Service) -> None:
    name = fields.take("model")
    if name is None:
        return
    if not isinstance(name, str):
        refuse("model", "`model` is not a text")
    if not service.answers_to(name):
        raise no_such_model(name)


def no_such_model(name: str) -> Refusal:
    message = f"the model `{name[:100]}` is not served here"
    return Refusal(404, message, param="model", code="model_not_found")


def _tokens(fields: Fields, service: Service, limits: Limits) -> int:
    """Both names of OpenAI's; the newer one counts."""
    older = fields.whole("max_tokens", None, least=1, most=limits.tokens)
    newer = fields.whole("max_completion_tokens", None, least=1, most=limits.tokens)
    return newer or older or min(service.tokens, limits.tokens)


def _dials(fields: Fields) -> dict[str, int]:
    value = fields.take("dials")
    if value is None:
        return {}
    if not isinstance(value, dict) or any(type(setting) is not int for setting in value.values()):
        refuse("dials", '`dials` is not an object of whole numbers, as `{"r": 8}`')
    return value


def _stops(value: Any, limits: Limits) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value or []
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        refuse("stop", "`stop` is neither a text nor a list of texts, none of them empty")
    if len(stops) > limits.stops:
        refuse("stop", f"`stop` has {len(stops):,} texts, and {limits.stops} are allowed")
    if any(len(stop) > limits.stop_characters for stop in stops):
        refuse("stop", f"a text of `stop` is longer than {limits.stop_characters:,} characters")
    return tuple(stops)


# -- prompts


def _chat_prompt(value: Any, service: Service, limits: Limits) -> tuple[int, ...]:
    if value is None:
        refuse("messages", "`messages` is missing")
    if isinstance(value, list) and len(value) > limits.messages:
        refuse("messages", f"`messages` has {len(value):,} messages, and {limits.messages:,} are allowed")
    try:
        messages = parse_messages(_with_systems(value))
        _check_characters(messages, limits)
        return service.format.prompt(messages)
    except Fault as fault:
        refuse("messages", f"{fault.message}; {fault.help}" if fault.help else fault.message)


def _with_systems(value: Any) -> Any:
    """OpenAI's newer clients call the system `developer`."""
    if not isinstance(value, list):
        return value
    return [
        {**m, "role": "system"} if isinstance(m, dict) and m.get("role") == "developer" else m for m in value
    ]


def _check_characters(messages: Sequence[Message], limits: Limits) -> None:
    lengths = [sum(len(part.text) for part in message.parts) for message in messages]
    for index, length in enumerate(lengths):
        if length > limits.message_characters:
            message = f"`messages[{index}]` has {length:,} characters, and {limits.message_characters:,} are allowed"
            refuse("messages", message)
    _check_total(sum(lengths), "messages", limits)


def _check_total(characters: int, param: str, limits: Limits) -> None:
    if characters > limits.characters:
        refuse(param, f"`{param}` has {characters:,} characters, and {limits.characters:,} are allowed")


def _completion_prompts(value: Any, service: Service, limits: Limits) -> list[tuple[int, ...]]:
    """A text, ids, or a list of either; a text is begun as every document is."""
    if value is None:
        refuse("prompt", "`prompt` is missing")
    prompts = [value] if isinstance(value, str) or _are_ids(value) else value
    if (
        not isinstance(prompts, list)
        or not prompts
        or not all(isinstance(p, str) or _are_ids(p) for p in prompts)
    ):
        refuse("prompt", "`prompt` is neither a text, nor ids, nor a list of either")
    if len(prompts) > limits.samples:
        refuse("prompt", f"`prompt` has {len(prompts):,} prompts, and {limits.samples} are allowed")
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    _check_total(sum(map(len, texts)), "prompt", limits)
    tokenizer = service.tokenizer
    return [(tokenizer.bos, *tokenizer.encode(p)) if isinstance(p, str) else tuple(p) for p in prompts]


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(type(id) is int for id in value)
