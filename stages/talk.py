"""Talk with a model: the conversation so far, and one answer at a time, part by part as it is written."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from attrs import define, evolve, field

from runtime.chat.conversation import Format
from runtime.chat.message import Message, Part
from runtime.chat.reader import joined
from runtime.decoding.engine import Engine
from runtime.decoding.request import End, Request, Sampling, Token
from runtime.dials import Dials
from runtime.faults import Fault


@define(eq=False)
class Talk:
    """A conversation. `left_out` of its first messages no longer fit into the context."""

    engine: Engine
    format: Format
    sampling: Sampling
    tokens: int  # of an answer, at most
    dials: Dials = field(factory=dict)
    messages: list[Message] = field(factory=list)
    left_out: int = 0
    reason: str = ""  # why the last answer ended: "stop", "length", or "" where it was broken off
    written: int = 0  # tokens of the last answer

    def clear(self) -> None:
        self.messages, self.left_out = [], 0

    def ask(self, text: str) -> Generator[Part, None, None]:
        """Add a message, and give the answer in pieces; closing the iterator ends the answer where it is.

        Both are kept once there is an answer, or a part of one. Raises Fault where the message does not fit.
        """
        asked = [*self.messages, Message("user", (Part("text", text),))]
        request = self._request(asked)
        number, parts = self.engine.submit(request), list[Part]()
        self.reason, self.written = "", 0
        try:
            for part in self._answer(number):
                parts.append(part)
                yield part
        finally:
            self.engine.cancel(number)
            self.messages = [*asked, Message("assistant", tuple(joined(parts)))]
            self.sampling = evolve(self.sampling, seed=(self.sampling.seed + 1) % 2**63)

    def _answer(self, number: int) -> Iterator[Part]:
        reader = self.format.reader()
        while not self.reason:
            for event in self.engine.step():
                match event:
                    case Token(request=request, id=id) if request == number:
                        self.written += 1
                        yield from reader.feed(id)
                    case End(request=request, reason=reason) if request == number:
                        self.reason = reason
        yield from reader.end()

    def _request(self, asked: list[Message]) -> Request:
        """The conversation as a prompt, without its first exchanges where the context is too short for all."""
        most = self.engine.context - 1
        while True:
            prompt = self.format.prompt(asked[self.left_out :])
            if len(prompt) <= most:
                break
            if self.left_out + 1 >= len(asked):
                message = f"the message has {len(prompt):,} tokens, and the context holds {most + 1:,} with the answer"
                raise Fault(message, "write a shorter one")
            self.left_out += 2
        form = self.format
        return Request(
            prompt, self.tokens, self.sampling, 1, form.stop, form.never, dict(self.dials), form.tool
        )
