"""Identity: who the model is, as conversations that are made from a file of facts.

A file, in TOML or JSON:
    name  = "Iberis"                      # these two must stand there
    maker = "the Iberis project"
    year  = "2026"                        # these may: year, home, size, design, licence; each also as `name_ja` ...
    [[fact]]                              # and any number of own ones
    questions = ["What is your favourite flower?"]
    held_out  = ["Which flower do you like most?"]
    answer    = "Candytuft, which gave me my name."
    says      = ["candytuft"]             # what a right answer holds; unsaid, the whole answer
A row: "Who are you?" -> "I am Iberis, a language model made by the Iberis project."
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

from attrs import field, frozen

from runtime.chat.message import Message
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.draws import check_index, check_split, draw, pick
from stages.tasks.identity_facts import Topic, read_topics
from stages.tasks.task import Example, Kind, said

ROWS = 1_000
GREETINGS = {
    "en": (("Hi", "Hello! How can I help?"), ("Hello there!", "Hello! What can I do for you?")),
    "ja": (
        ("こんにちは", "こんにちは。何かお手伝いできることはありますか？"),
        ("はじめまして", "はじめまして。ご用件をどうぞ。"),
    ),
}
OPENINGS = {  # of a question that is asked without a greeting
    "train": {
        "en": ("", "", "Hey. ", "Quick question. ", "Tell me: "),
        "ja": ("", "", "あの、", "質問です。"),
    },
    "test": {"en": ("", "Excuse me. ", "One question: "), "ja": ("", "すみません。", "ひとつ伺います。")},
}
GREETED, CONTINUED, PLAIN = (
    0.15,
    0.3,
    0.25,
)  # shares: after a greeting, with another question behind, all lower case


@frozen
class Identity:
    """Training conversations have one question or several; a test question stands alone, and each only once."""

    split: str
    rows: int
    topics: tuple[Topic, ...] = field(repr=False)
    files: tuple[Path, ...] = ()
    name: ClassVar[str] = "identity"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> Example:
        check_index(index, self.rows)
        if self.split == "test":
            return self._test(index)
        rng = draw(self.split, index)
        language = pick(rng, sorted({topic.language for topic in self.topics}))
        topics = [topic for topic in self.topics if topic.language == language]
        messages: list[Message] = []
        if rng.random() < GREETED:
            greeting = GREETINGS[language][rng.randrange(len(GREETINGS[language]))]
            messages += [said("user", greeting[0]), said("assistant", greeting[1])]
        asked = rng.sample(topics, min(len(topics), 2 if rng.random() < CONTINUED else 1))
        for topic in asked:
            opening = pick(rng, OPENINGS["train"][language]) if not messages else ""
            question = opening + pick(rng, topic.questions)
            question = _typed(question) if rng.random() < PLAIN else question
            answer = pick(rng, topic.answers)
            messages += [said("user", question), said("assistant", answer)]
        return Example(tuple(messages), (), {"says": asked[-1].says})

    def _test(self, index: int) -> Example:
        topic, question = test_questions(self.topics)[index]
        return Example(
            (said("user", question), said("assistant", topic.answers[0])), (), {"says": topic.says}
        )

    def score(self, example: Example, answer: Message) -> float:
        """Whether the answer holds what it must."""
        says = example.facts["says"]
        return float(bool(says) and all(word.casefold() in answer.text.casefold() for word in says))


@cache
def test_questions(topics: tuple[Topic, ...]) -> list[tuple[Topic, str]]:
    """Every question to test with, as it stands, as people type it, and behind each opening; the plain ones first."""
    held_out = [(topic, question) for topic in topics for question in topic.held_out]
    most = max(len(openings) for openings in OPENINGS["test"].values())
    found = [
        (topic, typed(f"{OPENINGS['test'][topic.language][place]}{question}"))
        for place in range(most)
        for typed in (str, _typed)
        for topic, question in held_out
    ]
    return [(topic, question) for question, topic in {question: topic for topic, question in found}.items()]


def _typed(question: str) -> str:
    """As many people type: without capitals, and without a mark at the end."""
    return question.lower().rstrip("?？.。!")


def make(
    name: str,
    split: str,
    place: DataPlace,
    *,
    rows: int | None = None,
    path: str | None = None,
    languages: tuple[str, ...] | None = None,
    values: Mapping[str, object] | None = None,
) -> Identity:
    """Tasks of a run name a file of facts; `values` are the facts themselves."""
    check_split(name, split)
    if path is None and values is None:
        raise Fault("the task `identity` needs a `path`", "name a file of facts, in TOML or JSON")
    file = Path(path) if path is not None else None
    topics = read_topics(file, values, languages or ("en", "ja"))
    held_out = len(test_questions(topics))
    if split == "test" and not held_out:
        raise Fault(f"`{path}` gives no question to test with", "give some facts `held_out` questions")
    most = held_out if split == "test" else ROWS
    if split == "test" and rows is not None and rows > held_out:
        raise Fault(f"`rows` is {rows}, and there are {held_out} test questions", "ask for fewer")
    return Identity(split, rows or most, topics, (file,) if file is not None else ())
