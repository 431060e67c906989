"""How much one request, and all of them together, may ask of the server. Numbers only."""

from __future__ import annotations

from attrs import frozen


@frozen
class Limits:
    """What lies beyond is refused by a message that names the limit, never cut short in silence."""

    # of a request
    body_bytes: int = 1 << 20
    messages: int = 500
    message_characters: int = 32_000
    characters: int = 128_000  # of all messages or prompts; what fits in the context is fewer for most models
    tokens: int = 4_096  # that are written for each sample
    samples: int = 16  # of all prompts
    stops: int = 4
    stop_characters: int = 200
    logprobs: int = 20  # likeliest tokens told beside each

    # of all requests
    queue: int = 128  # samples that wait while every row of their replica is taken
    preparing: int = 256  # requests whose text is being turned into ids, or waits for that

    # of clients that are slow, in seconds
    body_seconds: float = 30.0  # to send the whole body
    write_seconds: float = 30.0  # to take the next piece of an answer
    idle_seconds: float = 75.0  # between requests, or to send the head of one
    linger_seconds: float = 2.0  # to stop sending what was refused

    # of an answer that is not read, in events; then its samples end: their rows are what others wait for
    behind: int = 1_024
