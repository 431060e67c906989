"""Turn messages into ids: `Chat` for models that learnt the special tokens, `Plain` for those that only met text.

Training renders with the same function that prompts are made with. Text is always encoded as text: a special
token that somebody writes into a message stays characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from runtime.chat.message import Kind, Message, Part, Role
from runtime.chat.reader import Reader
from runtime.chat.tool import Calculator
from runtime.faults import Fault
from runtime.tokenizer import Tokenizer

if TYPE_CHECKING:
    from runtime.decoding.request import Tool

# -- JSON to messages

EXAMPLE = 'write them as `[{"role": "user", "content": "..."}]`'
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
KINDS: dict[str, Kind] = {
    "text": "text",
    "python": "python",
    "output": "output",
    "python_output": "output",  # as nanochat's data has it
}


def parse_messages(value: object) -> tuple[Message, ...]:
    """Messages as clients and data files write them; other keys beside role and content are let pass."""
    if not isinstance(value, list):
        raise Fault("`messages` is not a list", EXAMPLE)
    return tuple(_parse_message(item, f"messages[{index}]") for index, item in enumerate(value))


def _parse_message(value: object, place: str) -> Message:
    if not isinstance(value, dict):
        raise Fault(f"`{place}` is not an object", EXAMPLE)
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise Fault(f"the role of `{place}` is none of {_listed(ROLES)}", EXAMPLE)
    parts = _parse_content(value.get("content"), place)
    for part in parts:
        if part.kind != "text" and role != "assistant":
            raise Fault(
                f"`{place}` is of role `{role}` and holds `{part.kind}`",
                "only an assistant's message holds tool calls",
            )
    return Message(ROLES[role], parts)


def _parse_content(value: object, place: str) -> tuple[Part, ...]:
    if isinstance(value, str):
        return (Part("text", value),)
    if not isinstance(value, list):
        raise Fault(f"the content of `{place}` is neither a text nor a list of parts", EXAMPLE)
    return tuple(_parse_part(item, f"{place}.content[{index}]") for index, item in enumerate(value))


def _parse_part(value: object, place: str) -> Part:
    match value:
        case {"type": str(kind), "text": str(text)} if kind in KINDS:
            return Part(KINDS[kind], text)
    raise Fault(
        f"`{place}` is no part that can be read",
        f'write it as `{{"type": "text", "text": "..."}}`; types are {_listed(KINDS)}',
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# -- messages to ids


@frozen
class Rendered:
    """Ids of a conversation, and for each whether the model is to learn to write it: 1 or 0."""

    ids: list[int]
    mask: list[int]


def render(messages: Sequence[Message], tokenizer: Tokenizer, *, limit: int | None = None) -> Rendered:
    """The whole conversation with its special tokens, or its first `limit` ids."""
    ids, mask = [], []
    for span, learnt in _spans(messages, tokenizer):
        ids += span
        mask += [learnt] * len(span)
    return Rendered(ids[:limit], mask[:limit])


def prompt(messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """Ids after which the assistant speaks; where it spoke last, it goes on with that message."""
    ids = render(messages, tokenizer).ids
    if messages[-1].role == "assistant":
        return ids[:-1]  # all but assistant_end
    return [*ids, tokenizer.special["assistant_start"]]


def _spans(messages: Sequence[Message], tokenizer: Tokenizer) -> Iterator[tuple[list[int], int]]:
    """The ids in runs that are learnt, or not, as one."""
    special = tokenizer.special
    yield [tokenizer.bos], 0
    for message in _turns(messages):
        if message.role == "user":
            yield [special["user_start"], *tokenizer.encode(message.text), special["user_end"]], 0
            continue
        yield [special["assistant_start"]], 0
        for part in message.parts:
            yield _part_ids(part, tokenizer), int(part.kind != "output")
        yield [special["assistant_end"]], 1


def _part_ids(part: Part, tokenizer: Tokenizer) -> list[int]:
    ids, special = tokenizer.encode(part.text), tokenizer.special
    if part.kind == "text":
        return ids
    return [special[f"{part.kind}_start"], *ids, special[f"{part.kind}_end"]]


def _turns(messages: Sequence[Message]) -> tuple[Message, ...]:
    """User and assistant in turn, the user first; a system message becomes the begin of the user's."""
    if not messages:
        raise Fault("there are no messages", EXAMPLE)
    systems = 1 if messages[0].role == "system" else 0
    for index, message in enumerate(messages[systems:], systems):
        expected = ("user", "assistant")[(index - systems) % 2]
        if message.role != expected:
            raise Fault(
                f"`messages[{index}]` is of role `{message.role}`, and `{expected}` is expected here",
                "user and assistant take turns, the user first; one system message may stand before them",
            )
    if not systems:
        return tuple(messages)
    if len(messages) == 1:
        raise Fault("the system message stands alone", "add a message of role `user`")
    system, first, *others = messages
    merged = Part("text", f"{system.text}\n\n{first.text}")
    return (evolve(first, parts=(merged,)), *others)


# -- formats


@frozen
class Chat:
    """Conversations of a model that was trained on `render`, and that may call the calculator."""

    tokenizer: Tokenizer
    name: ClassVar[str] = "chat"

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return tuple(prompt(messages, self.tokenizer))

    @property
    def stop(self) -> frozenset[int]:
        return _special_ids(self.tokenizer, "assistant_end", "bos")

    @property
    def never(self) -> frozenset[int]:
        """What is not the assistant's to write: turns begin and end without it, outputs are put there."""
        return _special_ids(
            self.tokenizer, "user_start", "user_end", "assistant_start", "output_start", "output_end"
        )

    @property
    def tool(self) -> Callable[[], Tool]:
        return partial(Calculator, self.tokenizer)

    def reader(self) -> Reader:
        return Reader(self.tokenizer)


@frozen
class Plain:
    """Text that is continued, by a model that has met no special token but bos."""

    tokenizer: Tokenizer
    name: ClassVar[str] = "plain"
    tool: ClassVar[None] = None

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """One text: what the model says follows the user's directly, the user's next opens a paragraph."""
        turns = _turns(messages)
        texts = (f"\n\n{turn.text}" if turn.role == "user" else turn.text for turn in turns)
        return (self.tokenizer.bos, *self.tokenizer.encode("".join(texts).removeprefix("\n\n")))

    @property
    def stop(self) -> frozenset[int]:
        return frozenset({self.tokenizer.bos})

    @property
    def never(self) -> frozenset[int]:
        return frozenset(self.tokenizer.special.values()) - self.stop

    def reader(self) -> Reader:
        return Reader(self.tokenizer)


Format = Chat | Plain


def _special_ids(tokenizer: Tokenizer, *names: str) -> frozenset[int]:
    return frozenset(tokenizer.special[name] for name in names)
