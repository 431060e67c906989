"""What a conversation is made of. Knows nothing of ids, nor of how messages come in."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

Role = Literal["system", "user", "assistant"]
Kind = Literal["text", "python", "output"]  # said, asked of the calculator, answered by it


@frozen
class Part:
    kind: Kind
    text: str


@frozen
class Message:
    """What one side says in one turn; parts other than text are an assistant's only."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if part.kind == "text")
