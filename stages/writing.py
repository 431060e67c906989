"""Let a loaded model write: text in, text out, safe to print."""

from __future__ import annotations

from runtime.dials import Dials
from runtime.generation import Sampling, generate
from stages.artefact import Artefact


def write(
    artefact: Artefact,
    prompt: str,
    *,
    samples: int = 1,
    tokens: int,
    sampling: Sampling,
    dials: Dials | None = None,
) -> list[str]:
    """Continue `prompt` `samples` times, until the model begins another document.

    The special tokens of chats are never drawn: a base model has not met them.
    """
    tokenizer = artefact.tokenizer
    written = generate(
        artefact.model,
        artefact.compiled.blueprint,
        [tokenizer.bos, *tokenizer.encode(prompt)],
        rows=samples,
        tokens=tokens,
        sampling=sampling,
        stop=frozenset({tokenizer.bos}),
        never=frozenset(tokenizer.special.values()) - {tokenizer.bos},
        dials=dials,
    )
    return [printable(tokenizer.decode(ids)) for ids in written]


def printable(text: str) -> str:
    """A model may write anything: control characters would reach a terminal as commands."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
