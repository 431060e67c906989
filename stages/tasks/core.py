"""CORE: an evaluation bundle's rows -> prompts with examples before them, and the tokens that are scored.

A bundle is a folder with `core.yaml` (tasks in their order), `eval_meta_data.csv` (what guessing reaches) and
`eval_data/` (rows, as JSON lines). A row is one of three kinds:

    multiple_choice    {"query": "Question: mop\\n", "choices": ["has a blade", "has a long handle"], "gold": 1}
    schema             {"context_options": ["Ann lent Bea it, so Ann", "Ann lent Bea it, so Bea"],
                        "continuation": "is owed.", "gold": 0}
    language_modeling  {"context": "The official language of Strasbourg is", "continuation": "French"}

The first two are won by the option whose scored tokens have the lowest mean loss, the first one of equals; the
third where each scored token is the likeliest one. Knows nothing of models.
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from runtime.faults import Fault
from runtime.questions import Option, Question, Score

CHOICE, SCHEMA, CONTINUE = "multiple_choice", "schema", "language_modeling"
BETWEEN = "\n\n"  # examples
ORDER_SEED, EXAMPLES_SEED = 1337, 1234  # published figures depend on them
# No chunk of a tokenizer's pattern goes on over a line end into a word: both sides can be encoded apart.
SEAM = re.compile(r"(?<=\n)(?=[A-Za-z])")

Row = dict[str, Any]
Encode = Callable[[str], list[int]]


@frozen
class Task:
    """One of a bundle's tasks."""

    label: str
    kind: str
    file: str
    shots: int  # examples before each question
    baseline: float  # % that guessing reaches
    delimiter: str  # between a question and its answer


@frozen
class Bundle:
    """A folder of tasks."""

    folder: Path
    tasks: tuple[Task, ...]

    def rows(self, task: Task, most: int | None = None) -> list[Row]:
        """A task's rows in the order that CORE has them in, the first `most` of it; raises Fault where there are none."""
        path = self.folder / "eval_data" / task.file
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            raise Fault(f"the bundle has no `eval_data/{task.file}`") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(f"`eval_data/{task.file}` cannot be read: {error}") from None
        rows = [_row(line, task, number) for number, line in enumerate(lines, 1) if line.strip()]
        random.Random(ORDER_SEED).shuffle(rows)
        rows = rows[:most]
        if len(rows) <= task.shots:
            raise Fault(
                f"`eval_data/{task.file}` has {len(rows)} rows, and each is asked after {task.shots} others"
            )
        return rows


def read_bundle(folder: Path) -> Bundle:
    """Read which tasks there are; raises Fault where the folder holds no bundle."""
    import yaml

    try:
        listed = yaml.safe_load((folder / "core.yaml").read_text(encoding="utf-8"))
        with (folder / "eval_meta_data.csv").open(encoding="utf-8", newline="") as file:
            baselines = {row["Eval Task"]: float(row["Random baseline"]) for row in csv.DictReader(file)}
        tasks = tuple(_task(item, baselines) for item in listed["icl_tasks"])
    except FileNotFoundError as error:
        raise Fault(f"`{folder}` is no evaluation bundle: it has no `{Path(error.filename).name}`") from None
    except KeyError as error:
        raise Fault(f"`{folder}` is no evaluation bundle: it says nothing of {error}") from None
    except (yaml.YAMLError, OSError, TypeError, ValueError, IndexError) as error:
        raise Fault(f"`{folder}` is no evaluation bundle: {' '.join(str(error).split())}") from None
    return Bundle(folder, tasks)


def _task(item: dict[str, Any], baselines: dict[str, float]) -> Task:
    kind = item["icl_task_type"]
    if kind not in FIELDS:
        raise ValueError(f"unknown kind `{kind}`")
    return Task(
        label=item["label"],
        kind=kind,
        file=item["dataset_uri"],
        shots=int(item["num_fewshot"][0]),
        baseline=baselines[item["label"]],
        delimiter=item.get("continuation_delimiter", " "),
    )


# -- rows


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _said(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _options(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(map(_said, value))


def _place(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


FIELDS = {
    CHOICE: {"query": _text, "choices": _options, "gold": _place},
    SCHEMA: {"context_options": _options, "continuation": _said, "gold": _place},
    CONTINUE: {"context": _text, "continuation": _said},
}


def _row(line: str, task: Task, number: int) -> Row:
    where = f"line {number} of `eval_data/{task.file}`"
    try:
        row = json.loads(line)
    except ValueError:
        raise Fault(f"{where} is not JSON") from None
    fields = FIELDS[task.kind]
    if not isinstance(row, dict) or not all(name in row and fits(row[name]) for name, fits in fields.items()):
        raise Fault(f"{where} is no row of the kind {task.kind}: {', '.join(fields)}")
    if "gold" in fields and row["gold"] >= len(row["choices" if task.kind == CHOICE else "context_options"]):
        raise Fault(f"{where} says that option {row['gold']} is right, and has no such option")
    return row


# -- prompts


def prompts(task: Task, rows: Sequence[Row], index: int) -> list[str]:
    """The texts of a row after its examples: one for each option; or without the continuation, and with it."""
    others = [number for number in range(len(rows)) if number != index]
    chosen = random.Random(EXAMPLES_SEED + index).sample(others, task.shots)
    before = "".join(_solved(task, rows[number]) + BETWEEN for number in chosen)
    row = rows[index]
    if task.kind == CONTINUE:
        whole = before + _solved(task, row)
        return [(before + row["context"].strip() + task.delimiter).strip(), whole]
    options = len(row["choices" if task.kind == CHOICE else "context_options"])
    return [before + _answered(task, row, option) for option in range(options)]


def _solved(task: Task, row: Row) -> str:
    if task.kind == CONTINUE:
        return row["context"].strip() + task.delimiter + row["continuation"]
    return _answered(task, row, row["gold"])


def _answered(task: Task, row: Row, option: int) -> str:
    if task.kind == CHOICE:
        return row["query"] + task.delimiter + row["choices"][option]
    return row["context_options"][option] + task.delimiter + row["continuation"]


# -- tokens


@frozen
class Encoder:
    """Ids of prompts, which open a document. Examples come again and again, and are encoded once."""

    encode: Encode
    bos: int
    _known: dict[str, list[int]] = field(init=False, factory=dict)

    def __call__(self, text: str) -> list[int]:
        ids = [self.bos]
        for piece in SEAM.split(text):
            if piece not in self._known:
                self._known[piece] = self.encode(piece)
            ids += self._known[piece]
        return ids


def question(task: Task, rows: Sequence[Row], index: int, encoder: Encoder) -> Question:
    """A row's options as ids, each with the place of its first scored token; what is scored ends with it."""
    found = [encoder(text) for text in prompts(task, rows, index)]
    if task.kind == CONTINUE:
        whole = found[1]
        return Question((Option(tuple(whole), min(shared_start(found), len(whole) - 1)),))
    shortest = min(map(len, found))
    if task.kind == CHOICE:
        start = min(shared_start(found), shortest - 1)  # an option that another one begins with is scored too
        return Question(tuple(Option(tuple(ids), start) for ids in found))
    suffix = min(shared_start([ids[::-1] for ids in found]), shortest - 1)
    return Question(tuple(Option(tuple(ids), len(ids) - suffix) for ids in found))


def shared_start(lists: Sequence[list[int]]) -> int:
    """How many ids all the lists begin with."""
    first, *others = lists
    count = min(map(len, lists))
    for other in others:
        count = next((n for n in range(count) if first[n] != other[n]), count)
    return count


def is_right(task: Task, row: Row, scores: Sequence[Score]) -> bool:
    """Whether the scores of a row's options give its answer."""
    if task.kind == CONTINUE:
        return scores[0].greedy
    means = [score.mean for score in scores]
    return means.index(min(means)) == row["gold"]
