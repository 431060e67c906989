"""GSM8K: word problems of grade school; every calculation of an answer is a call of the calculator.

A row: {"question": "Ann has 3 bags of 4 apples. How many apples are there?",
"answer": "There are 3*4 = <<3*4=12>>12 apples.\\n#### 12"}
"""

from __future__ import annotations

import re
from typing import ClassVar

from attrs import frozen

from runtime.chat.message import Message, Part
from stages.data.place import DataPlace, find_rows
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, said, score_number

_CALCULATION = re.compile(r"<<([^>]+)>>")


@frozen
class Gsm8k(RowTask):
    name: ClassVar[str] = "gsm8k"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __getitem__(self, index: int) -> Example:
        row = self.row(index)
        return Example((said("user", row["question"]), said("assistant", *answer_parts(row["answer"]))))

    def score(self, example: Example, answer: Message) -> float:
        return score_number(example, answer)


def answer_parts(answer: str) -> list[Part]:
    """The text, and what stands in `<<expression=result>>` as a call and its output."""
    parts: list[Part] = []
    for place, piece in enumerate(_CALCULATION.split(answer)):
        if place % 2 == 0:
            parts.append(Part("text", piece))
            continue
        expression, equals, result = piece.rpartition("=")
        parts.append(Part("python", expression if equals else piece))
        parts.append(Part("output", result if equals else ""))
    return parts


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> Gsm8k:
    return Gsm8k(find_rows("gsm8k", subset="main", split=split, place=place, path=path))
