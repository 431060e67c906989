"""JCommonsenseQA: questions of common sense in Japanese with five choices each.

A row: {"q_id": 1, "question": "夜空に見えるものは？", "choice0": "星", "choice1": "机", "choice2": "靴",
"choice3": "鍋", "choice4": "本", "label": 0}
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from runtime.chat.message import Message
from stages.data.place import DataPlace, find_rows
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, choice_question, said, score_choice

LETTERS = ("A", "B", "C", "D", "E")
SPLITS = {"test": "valid", "validation": "valid"}  # the test split of JGLUE is not public
OPENING, CLOSING = "選択問題：", "正しい答えの文字だけを書いてください。"


@frozen
class JCommonsenseQa(RowTask):
    name: ClassVar[str] = "jcommonsenseqa"
    kind: ClassVar[Kind] = "choice"
    baseline: ClassVar[float] = 0.2

    def __getitem__(self, index: int) -> Example:
        row = self.row(index)
        choices = [row[f"choice{n}"] for n in range(len(LETTERS))]
        question = choice_question(row["question"], choices, LETTERS, OPENING, CLOSING)
        return Example((said("user", question), said("assistant", LETTERS[row["label"]])), LETTERS)

    def score(self, example: Example, answer: Message) -> float:
        return score_choice(example, answer)


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> JCommonsenseQa:
    split = SPLITS.get(split, split)
    rows = find_rows("jcommonsenseqa", subset="default", split=split, place=place, path=path)
    return JCommonsenseQa(rows)
