"""HumanEval: Python functions to write from their signature and docstring, and tests that run in the sandbox alone.

A row: {"task_id": "HumanEval/900", "prompt": "def twice(x):\\n    \\"\\"\\"Twice x.\\"\\"\\"\\n",
"canonical_solution": "    return 2 * x\\n", "test": "def check(candidate):\\n    assert candidate(2) == 4\\n",
"entry_point": "twice"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from attrs import frozen

from runtime.chat.message import Message
from stages.data.place import DataPlace, find_rows
from stages.sandbox.program import Program, Verdict
from stages.sandbox.running import run_program
from stages.tasks.rows import RowTask
from stages.tasks.task import Example, Kind, said

Runner = Callable[[Program], Verdict]

_BLOCK = re.compile(r"```(?:[Pp]ython3?)?[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL)


@frozen
class HumanEval(RowTask):
    runner: Runner = run_program
    name: ClassVar[str] = "humaneval"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __getitem__(self, index: int) -> Example:
        row = self.row(index)
        whole = f"{row['prompt']}\n{row['canonical_solution']}"
        facts = {"entry_point": row["entry_point"], "test": row["test"]}
        return Example((said("user", row["prompt"]), said("assistant", whole)), (), facts)

    def score(self, example: Example, answer: Message) -> float:
        """Whether the answer's function passes its tests; raises Fault where no code can be isolated here."""
        return float(self.runner(program(example, answer)).passed)


def program(example: Example, answer: Message) -> Program:
    """The answer's code behind the imports of the prompt, and what tests it."""
    prompt = example.messages[0].text
    code = "\n".join([*imports_of(prompt), "", code_of(answer.text)])
    return Program(code, example.facts["test"], example.facts["entry_point"], prompt)


def imports_of(prompt: str) -> list[str]:
    """The imports that a prompt opens with."""
    found: list[str] = []
    for line in map(str.strip, prompt.split("\n")):
        if line.startswith(("import ", "from ")):
            found.append(line)
        elif line and not line.startswith("#"):
            break
    return found


def code_of(text: str) -> str:
    """The first fenced block, or the whole text where there is none."""
    found = _BLOCK.search(text)
    return (found[1] if found else text).rstrip() + "\n"


def make(
    name: str, split: str, place: DataPlace, *, path: str | None = None, runner: Runner = run_program
) -> HumanEval:
    rows = find_rows("humaneval", subset="openai_humaneval", split=split, place=place, path=path)
    return HumanEval(rows, runner)
