"""Let a loaded model write: text in, text out, safe to print."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.chat.conversation import Plain
from runtime.decoding.engine import Engine
from runtime.decoding.generation import answers
from runtime.decoding.request import Request, Sampling
from runtime.dials import Dials
from stages.models.artefact import Artefact
from stages.printable import printable


def write(
    artefact: Artefact,
    prompts: Sequence[tuple[str, Sampling]],
    *,
    samples: int = 1,
    tokens: int,
    dials: Dials | None = None,
) -> list[list[str]]:
    """Continue each prompt `samples` times, until the model begins another document or its context is full.

    The special tokens of chats are never drawn: a base model has not met them.
    """
    tokenizer, plain = artefact.tokenizer, Plain(artefact.tokenizer)
    requests = [
        Request(
            (tokenizer.bos, *tokenizer.encode(prompt)),
            tokens,
            sampling,
            samples,
            plain.stop,
            plain.never,
            dials or {},
        )
        for prompt, sampling in prompts
    ]
    engine = Engine(artefact.model, artefact.compiled.blueprint)
    return [[printable(tokenizer.decode(ids)) for ids in rows] for rows in answers(engine, requests)]
