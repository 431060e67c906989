"""Conversations out of files: JSON, JSON lines or parquet, all rows of them.

A row: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
or {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from attrs import frozen

from runtime.chat.conversation import parse_messages
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.data.table import open_table
from stages.sources.files import find_files
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind

SUFFIXES = (".jsonl", ".json", ".parquet")
COLUMN = "messages"


@frozen
class Conversations(RowTask):
    name: str
    kind: ClassVar[Kind] = "conversation"
    baseline: ClassVar[float] = 0.0

    def __getitem__(self, index: int) -> Example:
        row = self.number(index)
        try:
            messages = parse_messages(self.rows[row][COLUMN])
        except Fault as fault:
            where = self.files[0].parent if len(self.files) > 1 else (self.files or (self.name,))[0]
            raise Fault(f"conversation {row + 1} of `{where}`: {fault.message}", fault.help) from None
        if len(messages) < 2 or messages[-1].role != "assistant":
            message = f"conversation {row + 1} of `{self.name}` does not end with an answer"
            raise Fault(message, "the last message is the assistant's")
        return Example(messages)


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> Conversations:
    """Conversations of the user's own files, which have no splits."""
    if path is None:
        raise Fault("the task `conversations` needs a `path`", "name a file, or a folder of files")
    rows = open_table(find_files([Path(path)], SUFFIXES), (COLUMN,))
    return Conversations(rows, name, mixed=False)
