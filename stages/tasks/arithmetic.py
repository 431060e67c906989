"""Arithmetic through the calculator: the answer calls it, repeats what it says, and marks the result.

A row: "What is 12 + 34?" -> "12 + 34 is " python: 12+34, output: 46, "46.\\n\\n#### 46"
Pairs of numbers are apart: no two operands of a test question stand together in a training question, in either order.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

from attrs import frozen

from runtime.chat.calculator import calculate
from runtime.chat.message import Message, Part
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.draws import check_index, check_split, draw, is_held_out, pick
from stages.tasks.task import Example, Kind, said, score_number

ROWS = {"train": 100_000, "test": 256}
DIGITS, MOST_DIGITS = 3, 15
OPERATIONS = "+-*/"
ONE_IN = 8  # pairs of operands, kept for testing
SIGNS = {"+": ("+",), "-": ("-",), "*": ("*", "×", "x"), "/": ("/", "÷")}
QUESTIONS = (
    "What is {a} {sign} {b}?",
    "What's {a} {sign} {b}?",
    "Calculate {a} {sign} {b}.",
    "Compute {a} {sign} {b}",
    "{a} {sign} {b} = ?",
    "{a} {sign} {b}",
    "How much is {a} {sign} {b}?",
    "Please work out {a} {sign} {b} for me.",
    "Can you tell me what {a} {sign} {b} comes to?",
    "I need the result of {a} {sign} {b}.",
    "{a} {sign} {b} はいくつですか？",
    "{a} {sign} {b} を計算してください。",
)
IN_WORDS = {
    "+": ("What is the sum of {a} and {b}?", "Add {a} and {b}.", "What do {a} and {b} make together?"),
    "-": ("Take {b} away from {a}.", "What is the difference of {a} and {b}?", "Subtract {b} from {a}."),
    "*": ("What is the product of {a} and {b}?", "Multiply {a} by {b}.", "What is {a} times {b}?"),
    "/": ("Divide {a} by {b}.", "How often does {b} go into {a}?", "What is {a} divided by {b}?"),
}
WORDED = 0.3  # share of questions in words


@frozen
class Arithmetic:
    split: str
    rows: int
    digits: int = DIGITS
    operations: str = OPERATIONS
    name: ClassVar[str] = "arithmetic"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0
    files: ClassVar[tuple[Path, ...]] = ()

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> Example:
        check_index(index, self.rows)
        rng = draw(self.split, index)
        operation = pick(rng, self.operations)
        a, b = self._operands(rng, operation)
        sign = pick(rng, SIGNS[operation])
        form = pick(rng, IN_WORDS[operation] if rng.random() < WORDED else QUESTIONS)
        question = form.format(a=a, b=b, sign=sign)
        expression = f"{a}{'//' if operation == '/' else operation}{b}"
        result = calculate(expression)
        answer = said(
            "assistant",
            f"{a} {operation} {b} is ",
            Part("python", expression),
            Part("output", result),
            f"{result}.\n\n#### {result}",
        )
        return Example((said("user", question), answer))

    def _operands(self, rng: random.Random, operation: str) -> tuple[int, int]:
        """Drawn until they belong to this split; a division leaves no rest."""
        while True:
            a, b = self._number(rng), self._number(rng)
            if operation == "/":
                b = max(b, 1)
                a = b * rng.randrange((10**self.digits - 1) // b + 1)
            if is_held_out(min(a, b), max(a, b), one_in=ONE_IN) == (self.split == "test"):
                return a, b

    def _number(self, rng: random.Random) -> int:
        """Numbers of few digits are as common as those of many."""
        digits = rng.randint(1, self.digits)
        return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)

    def score(self, example: Example, answer: Message) -> float:
        return score_number(example, answer)


def make(
    name: str,
    split: str,
    place: DataPlace,
    *,
    rows: int | None = None,
    digits: int | None = None,
    operations: str | None = None,
) -> Arithmetic:
    check_split(name, split)
    digits, operations = digits or DIGITS, operations or OPERATIONS
    if digits > MOST_DIGITS:
        raise Fault(f"`digits` is at most {MOST_DIGITS}, found {digits}", "ask for shorter numbers")
    if unknown := sorted(set(operations) - set(OPERATIONS)):
        raise Fault(f"`operations` holds {unknown[0]!r}", f"they are some of `{OPERATIONS}`")
    return Arithmetic(split, rows or ROWS[split], digits, operations)
