"""MMLU: questions of 57 subjects with four choices each.

A row: {"question": "What is the product of 3 and 4?", "subject": "elementary_mathematics",
"choices": ["7", "12", "34", "1"], "answer": 1}
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from runtime.chat.message import Message
from stages.data.place import DataPlace, find_rows
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, english_choice_question, said, score_choice

LETTERS = ("A", "B", "C", "D")
SPLITS = {"train": "auxiliary_train"}  # as the data calls them


@frozen
class Mmlu(RowTask):
    name: ClassVar[str] = "mmlu"
    kind: ClassVar[Kind] = "choice"
    baseline: ClassVar[float] = 0.25

    def __getitem__(self, index: int) -> Example:
        row = self.row(index)
        question = english_choice_question(row["question"], row["choices"], LETTERS)
        messages = said("user", question), said("assistant", LETTERS[row["answer"]])
        return Example(messages, LETTERS, {"subject": row["subject"]})

    def score(self, example: Example, answer: Message) -> float:
        return score_choice(example, answer)


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> Mmlu:
    return Mmlu(find_rows("mmlu", subset="all", split=SPLITS.get(split, split), place=place, path=path))
