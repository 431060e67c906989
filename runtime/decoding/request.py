"""What is asked of the engine, and what it hands out. Speaks token ids only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import field, frozen

from runtime.dials import Dials


@frozen
class Sampling:
    """How a token is drawn; temperature 0 is greedy, and then nothing but the penalty matters.

    Filters work on what the temperature made: `top_k` keeps the k likeliest (and ties of the last), `top_p`
    the likeliest whose chances first reach p, `min_p` those with at least that share of the best one's chance.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    logprobs: int | None = None  # None: none; n: the chosen token's, and those of the n likeliest


class Tool(Protocol):
    """Watches one sample and may put tokens into it."""

    def see(self, token: int) -> Sequence[int]:
        """Told every new token, drawn or forced; returns those that must come next."""
        ...


@frozen
class Request:
    """A prompt and how it is to be continued, by one or more independent samples."""

    prompt: tuple[int, ...]
    tokens: int  # new ones, at most
    sampling: Sampling = Sampling()
    samples: int = 1
    stop: frozenset[int] = frozenset()  # ids that end a sample; they are not handed out
    never: frozenset[int] = frozenset()  # ids that are not drawn
    dials: Dials = field(factory=dict)
    tool: Callable[[], Tool] | None = None  # makes the tool of each sample


@frozen
class Token:
    """A token of a sample. Log-probabilities are the model's own: before temperature, penalty and filters."""

    request: int
    sample: int
    id: int
    forced: bool = False  # put there by the tool, not drawn
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()  # ids and log-probabilities of the likeliest


@frozen
class End:
    """The end of a sample: "stop" for a stop id, "length" where its tokens or the context are used up."""

    request: int
    sample: int
    reason: str
    id: int | None = None  # the stop id that was drawn
