"""What a task is: conversations by number, and for those that can be scored, when an answer is right.

Knows nothing of ids, models or files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import field, frozen

from runtime.chat.message import Message, Part

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["choice", "generative", "conversation"]

SHUFFLED = 42  # the seed of the order in which rows of public data are taken
_MARKED = re.compile(r"#### (-?[0-9.,]+)")


@frozen
class Example:
    messages: tuple[Message, ...]  # the whole conversation, the right answer last
    letters: tuple[str, ...] = ()  # of a question with choices, in their order
    facts: Mapping[str, Any] = field(factory=dict)  # what scoring needs besides

    @property
    def asked(self) -> tuple[Message, ...]:
        """The conversation up to the answer."""
        return self.messages[:-1]

    @property
    def gold(self) -> Message:
        return self.messages[-1]


class Task(Protocol):
    """Conversations by number."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def baseline(self) -> float:
        """The accuracy of guessing."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """What the rows are read from; none where they are made up."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


class Scored(Task, Protocol):
    """A task whose answers are right, 1.0, or wrong, 0.0."""

    def score(self, example: Example, answer: Message) -> float: ...


def said(role: Literal["user", "assistant"], *parts: Part | str) -> Message:
    """A message of parts; a text is a part that is said. Empty texts are left out."""
    whole = [Part("text", part) if isinstance(part, str) else part for part in parts]
    return Message(role, tuple(part for part in whole if part.text or part.kind != "text"))


def shuffled(rows: int) -> np.ndarray:
    """The order in which the rows of public data are taken."""
    import numpy as np

    return np.random.default_rng(SHUFFLED).permutation(rows)


def choice_question(
    question: str, choices: Sequence[str], letters: Sequence[str], opening: str, closing: str
) -> str:
    """A question with its choices; the letter follows its choice without a blank, so that it is the token of the answer."""
    listed = "".join(f"- {choice}={letter}\n" for choice, letter in zip(choices, letters, strict=True))
    return f"{opening}{question}\n{listed}\n{closing}"


def english_choice_question(question: str, choices: Sequence[str], letters: Sequence[str]) -> str:
    closing = "Respond only with the letter of the correct answer."
    return choice_question(question, choices, letters, "Multiple Choice question: ", closing)


def score_choice(example: Example, answer: Message) -> float:
    """Whether the answer is the letter."""
    return float(bool(example.letters) and answer.text.strip() == example.gold.text)


def marked_number(text: str) -> str | None:
    """The number behind `####`, without commas; None where there is none."""
    found = _MARKED.search(text)
    number = found[1].replace(",", "") if found else ""
    return number if any(c.isdigit() for c in number) else None


def score_number(example: Example, answer: Message) -> float:
    """Whether the answer marks the number that the right one marks; no number is never right."""
    wanted = marked_number(example.gold.text)
    return float(wanted is not None and marked_number(answer.text) == wanted)
