"""HumanEval: Python functions to write from their signature and docstring. Runs no code: a runner is handed in.

A row: {"task_id": "HumanEval/900", "prompt": "def twice(x):\\n    \\"\\"\\"Twice x.\\"\\"\\"\\n",
"canonical_solution": "    return 2 * x\\n", "test": "def check(candidate):\\n    assert candidate(2) == 4\\n",
"entry_point": "twice"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from attrs import field, frozen

from runtime.chat.message import Message
from runtime.faults import Fault
from stages.data.place import DataPlace, find_rows
from stages.data.table import Table
from stages.tasks.task import Example, Kind, said, shuffled

Runner = Callable[[str], bool]  # whether a program ends well

_BLOCK = re.compile(r"```(?:[Pp]ython3?)?[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL)


@frozen
class HumanEval:
    rows: Table
    runner: Runner | None = None
    order: Any = field(init=False, repr=False, eq=False)
    name: ClassVar[str] = "humaneval"
    kind: ClassVar[Kind] = "generative"
    baseline: ClassVar[float] = 0.0

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "order", shuffled(len(self.rows)))

    @property
    def files(self) -> tuple[Path, ...]:
        return self.rows.files

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row = self.rows[int(self.order[index])]
        whole = f"{row['prompt']}\n{row['canonical_solution']}"
        facts = {"entry_point": row["entry_point"], "test": row["test"]}
        return Example((said("user", row["prompt"]), said("assistant", whole)), (), facts)

    def score(self, example: Example, answer: Message) -> float:
        """Whether the program passes its tests, as the runner finds."""
        if self.runner is None:
            raise Fault("HumanEval is not scored without a sandbox", "evaluate where code can be isolated")
        return float(self.runner(program(example, answer)))


def program(example: Example, answer: Message) -> str:
    """The answer's code behind the imports of the prompt, and its tests: it ends without an error where they hold."""
    imports = "\n".join(imports_of(example.messages[0].text))
    check = f"check({example.facts['entry_point']})"
    return f"{imports}\n\n{code_of(answer.text)}\n\n{example.facts['test']}\n{check}\n"


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
    name: str, split: str, place: DataPlace, *, path: str | None = None, runner: Runner | None = None
) -> HumanEval:
    rows = find_rows("humaneval", subset="openai_humaneval", split=split, place=place, path=path)
    return HumanEval(rows, runner)
