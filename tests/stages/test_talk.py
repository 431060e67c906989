"""Talking: the history that a model is shown, what is kept of a broken-off answer, and what no longer fits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from runtime.chat.conversation import Chat
from runtime.chat.message import Message, Part
from runtime.decoding.request import End, Request, Sampling, Token
from runtime.faults import Fault
from runtime.tokenizer import Tokenizer
from stages.talk import Talk


class Scripted:
    """An engine that says what it is given, a token a step."""

    context, rows = 60, 1

    def __init__(self, *answers: Sequence[int]):
        self.answers = deque(answers)
        self.asked: list[Request] = []
        self.cancelled: list[int] = []
        self.left: deque[int] = deque()

    def submit(self, request: Request) -> int:
        self.asked.append(request)
        self.left = deque(self.answers.popleft())
        return len(self.asked)

    def cancel(self, number: int, sample: int | None = None) -> None:
        self.cancelled.append(number)

    def step(self) -> list[Token | End]:
        number = len(self.asked)
        return [Token(number, 0, self.left.popleft())] if self.left else [End(number, 0, "stop")]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the cat sat on the mat and the hat"] * 9, vocab=275)


def talk(tokenizer: Tokenizer, *answers: str) -> tuple[Talk, Scripted]:
    engine = Scripted(*(tokenizer.encode(a) for a in answers))
    return Talk(engine, Chat(tokenizer), Sampling(seed=3), 20), engine  # type: ignore[arg-type]


def said(parts) -> str:
    return "".join(part.text for part in parts)


def test_an_answer_is_kept_and_shown_to_the_model_the_next_time(tokenizer: Tokenizer):
    chat, engine = talk(tokenizer, "on the mat", "the hat")
    assert said(chat.ask("the cat?")) == "on the mat"
    assert (chat.reason, chat.written) == ("stop", len(tokenizer.encode("on the mat")))
    assert said(chat.ask("and?")) == "the hat"
    messages = [
        Message("user", (Part("text", "the cat?"),)),
        Message("assistant", (Part("text", "on the mat"),)),
        Message("user", (Part("text", "and?"),)),
    ]
    assert engine.asked[1].prompt == Chat(tokenizer).prompt(messages)
    assert engine.asked[1].tool is not None
    assert [r.sampling.seed for r in engine.asked] == [3, 4]
    chat.clear()
    assert chat.messages == []


def test_a_broken_off_answer_is_kept_as_far_as_it_came_and_its_row_is_free(tokenizer: Tokenizer):
    chat, engine = talk(tokenizer, "the cat sat on the mat")
    parts = chat.ask("who?")
    first = next(parts)
    parts.close()
    assert engine.cancelled == [1]
    assert chat.reason == ""
    assert chat.messages[-1] == Message("assistant", (first,))


def test_tool_calls_are_parts_of_the_answer(tokenizer: Tokenizer):
    special = tokenizer.special
    chat, engine = talk(tokenizer, "")
    engine.answers[0] = [
        *tokenizer.encode("the "), special["python_start"], *tokenizer.encode("1+1"), special["python_end"],
        special["output_start"], *tokenizer.encode("2"), special["output_end"], *tokenizer.encode("mat"),
    ]  # fmt: skip
    list(chat.ask("sum?"))
    kinds = [(p.kind, p.text) for p in chat.messages[-1].parts]
    assert kinds == [("text", "the "), ("python", "1+1"), ("output", "2"), ("text", "mat")]


def test_the_first_exchanges_are_left_out_where_the_context_is_short(tokenizer: Tokenizer):
    chat, engine = talk(tokenizer, *["the cat sat on the mat"] * 6)
    for _ in range(6):
        list(chat.ask("the cat sat?"))
    assert max(len(r.prompt) for r in engine.asked) < Scripted.context
    assert chat.left_out > 0
    assert chat.left_out % 2 == 0
    assert engine.asked[-1].prompt == Chat(tokenizer).prompt(chat.messages[chat.left_out : -1])


def test_a_message_that_cannot_fit_is_refused_and_nothing_is_kept(tokenizer: Tokenizer):
    chat, _ = talk(tokenizer, "the")
    with pytest.raises(Fault, match="the context holds 60"):
        list(chat.ask("z" * 100))
    assert chat.messages == []
