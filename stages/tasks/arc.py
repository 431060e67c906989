"""ARC: questions of science at school with choices, easy ones and those of the challenge.

A row: {"id": "Mercury_7175875", "question": "Which of these is a source of light?",
"choices": {"text": ["a lamp", "a mirror", "a stone", "a window"], "label": ["A", "B", "C", "D"]}, "answerKey": "A"}
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from runtime.chat.message import Message
from stages.data.place import DataPlace, find_rows
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, english_choice_question, said, score_choice

SUBSETS = {"arc_easy": "ARC-Easy", "arc_challenge": "ARC-Challenge"}


@frozen
class Arc(RowTask):
    name: str
    kind: ClassVar[Kind] = "choice"
    baseline: ClassVar[float] = 0.25

    def __getitem__(self, index: int) -> Example:
        row = self.row(index)
        choices, letters = row["choices"]["text"], tuple(row["choices"]["label"])
        question = english_choice_question(row["question"], choices, letters)
        return Example((said("user", question), said("assistant", row["answerKey"])), letters)

    def score(self, example: Example, answer: Message) -> float:
        return score_choice(example, answer)


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> Arc:
    return Arc(find_rows("arc", subset=SUBSETS[name], split=split, place=place, path=path), name)
