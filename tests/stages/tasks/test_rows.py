"""Tasks over rows of public data: how they are asked, when an answer is right, and their order."""

import json
import random
import types
from pathlib import Path

import numpy as np
import pytest

from runtime.chat.message import Message, Part
from stages.data.place import DataPlace
from stages.evaluating.accuracy import Accuracy
from stages.sandbox.program import Program, Verdict
from stages.tasks.catalogue import TASKS, make_task
from stages.tasks.gsm8k import answer_parts
from stages.tasks.humaneval import code_of, imports_of, program
from stages.tasks.task import Example, marked_number, said, score_number
from tests.stages.folders import DATA, GSM8K, JCQ, fill, lines, with_data


@pytest.fixture
def place(tmp_path: Path) -> DataPlace:
    return DataPlace(fill(tmp_path))


def text(words: str) -> Message:
    return said("assistant", words)


def test_a_question_with_choices_has_the_letter_right_behind_each(place: DataPlace):
    example = make_task("arc_easy", "test", place)[0]
    assert example.asked[0].text.split(" ", 4)[4] == (
        "Light?\n- lamp=A\n- stone=B\n- fog=C\n\nRespond only with the letter of the correct answer."
    )
    assert example.asked[0].text.startswith("Multiple Choice question: ")
    assert (example.gold.text, example.letters) == ("B", ("A", "B", "C"))


def test_mmlu_answers_by_letter_and_knows_its_subject(place: DataPlace):
    example = make_task("mmlu", "test", place)[0]
    assert "- 12=B\n" in example.asked[0].text
    assert (example.gold.text, example.letters) == ("B", ("A", "B", "C", "D"))
    assert example.facts == {"subject": "maths"}


def test_mmlu_trains_on_what_its_data_calls_auxiliary(place: DataPlace):
    assert len(make_task("mmlu", "train", place)) == 5


def test_jcommonsenseqa_asks_in_japanese(tmp_path: Path):
    path = lines(tmp_path / "valid-v1.3.json", [JCQ])
    example = make_task("jcommonsenseqa", "test", DataPlace(), path=str(tmp_path))[0]
    assert "夜空？\n- 星=A\n- 机=B\n- 靴=C\n- 鍋=D\n- 本=E\n" in example.asked[0].text
    assert example.gold.text == "C"
    assert make_task("jcommonsenseqa", "valid", DataPlace(), path=str(path))[0] == example


def test_a_choice_is_right_as_its_letter_alone(place: DataPlace):
    task = make_task("mmlu", "test", place)
    example = task[0]
    assert [task.score(example, text(t)) for t in ("B", " B\n", "A", "", "b", "B is right")] == [
        1,
        1,
        0,
        0,
        0,
        0,
    ]


def test_a_calculation_becomes_a_call_and_its_output():
    assert answer_parts("So <<3*4=12>>12, <<a=b=c>>c <<7>>.") == [
        Part("text", "So "),
        Part("python", "3*4"),
        Part("output", "12"),
        Part("text", "12, "),
        Part("python", "a=b"),
        Part("output", "c"),
        Part("text", "c "),
        Part("python", "7"),
        Part("output", ""),
        Part("text", "."),
    ]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("#### 12", "12"),
        ("so\n#### -1,234.5 apples", "-1234.5"),
        ("#### 1,000,000", "1000000"),
        ("#### 3 then #### 4", "3"),
        ("####12", None),
        ("12", None),
        ("#### ", None),
        ("#### ,", None),
        ("#### .", None),
        ("#### -,", None),
    ],
)
def test_the_number_behind_the_mark(words: str, number: str | None):
    assert marked_number(words) == number


def test_no_number_is_never_right():
    nothing = Example((said("user", "?"), text("no mark")))
    assert score_number(nothing, text("no mark")) == 0
    assert score_number(nothing, text("#### ,")) == 0
    assert score_number(Example((said("user", "?"), text("#### ,"))), text("#### ,")) == 0


def test_commas_within_numbers_do_not_matter(place: DataPlace):
    task = make_task("gsm8k", "test", place)
    answers = ("#### 1012", "#### 1,012", "#### 1013", "1012", "")
    assert [task.score(task[0], text(answer)) for answer in answers] == [1, 1, 0, 0, 0]
    called = said("assistant", Part("python", "#### 1012"), "no")
    assert task.score(task[0], called) == 0, "what is asked of the calculator is no answer"


def test_rows_come_in_the_order_that_the_originals_take_them(place: DataPlace):
    task = make_task("gsm8k", "train", place)
    order = np.random.default_rng(42).permutation(5)
    assert [task[i].asked[0].text.split()[0] for i in range(5)] == [str(n) for n in order]
    assert GSM8K["question"] in task[0].asked[0].text


@pytest.mark.parametrize("name", ["smoltalk", "smoltalk_jp"])
def test_conversations_by_name(place: DataPlace, name: str):
    task = make_task(name, "train", place)
    assert (len(task), task.kind) == (5, "conversation")
    assert [m.text for m in task[4].messages] == ["Hi", "Hello!"]


# -- HumanEval


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("def f(): pass", "def f(): pass\n"),
        ("Sure:\n```python\ndef f():\n    pass\n```\nand ```x```", "def f():\n    pass\n"),
        ("```\nx = 1\n```\n```python\ny = 2\n```", "x = 1\n"),
        ("```python\nx = 1", "x = 1\n"),
    ],
)
def test_code_is_the_first_block_or_all(words: str, code: str):
    assert code_of(words) == code


def test_imports_are_those_that_the_prompt_opens_with():
    prompt = "# a comment\nimport math\n\nfrom typing import List\ndef f():\n    import os\n"
    assert imports_of(prompt) == ["import math", "from typing import List"]


def test_a_program_is_imports_and_code_apart_from_its_tests(place: DataPlace):
    example = make_task("humaneval", "test", place)[0]
    made = program(example, text("```python\ndef twice(x):\n    return x + x\n```"))
    assert made.code == "import math\nfrom typing import List\n\ndef twice(x):\n    return x + x\n"
    assert made.test == "def check(candidate):\n    assert candidate(2) == 4\n"
    assert made.entry_point == "twice"


def test_the_runner_judges_the_program(place: DataPlace):
    seen: list[Program] = []

    def runner(made: Program) -> Verdict:
        seen.append(made)
        return types.SimpleNamespace(passed="x + x" in made.code)  # type: ignore[return-value]

    task = make_task("humaneval", "test", place, runner=runner)
    assert task.score(task[0], text("def twice(x): return x + x")) == 1
    assert task.score(task[0], text("def twice(x): return x")) == 0
    assert [made.entry_point for made in seen] == ["twice", "twice"]


# -- the real rows

SIZES = {
    ("arc_easy", "train"): 2251,
    ("arc_easy", "test"): 2376,
    ("arc_challenge", "train"): 1119,
    ("arc_challenge", "test"): 1172,
    ("mmlu", "test"): 2280,
    ("mmlu", "dev"): 285,
    ("gsm8k", "train"): 7473,
    ("gsm8k", "test"): 1319,
    ("jcommonsenseqa", "train"): 8939,
    ("jcommonsenseqa", "test"): 1119,
}


@with_data
@pytest.mark.parametrize(("name", "split"), SIZES, ids=lambda part: part)
def test_the_right_answer_gets_all_of_the_real_rows(name: str, split: str):
    task = make_task(name, split, DataPlace(DATA))
    assert len(task) == SIZES[name, split]
    examples = [task[i] for i in range(len(task))]
    assert sum(task.score(e, e.gold) for e in examples) == len(task)
    assert all(e.gold.text in e.letters for e in examples if task.kind == "choice")


@with_data
@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge", "mmlu", "jcommonsenseqa"])
def test_an_answer_at_random_gets_the_baseline_within_its_interval(name: str):
    task, rng = make_task(name, "test", DataPlace(DATA)), random.Random(1)
    examples = [task[i] for i in range(len(task))]
    right = sum(task.score(e, said("assistant", rng.choice(e.letters))) for e in examples)
    low, high = Accuracy(int(right), len(examples)).interval
    assert low <= task.baseline <= high


@with_data
@pytest.mark.parametrize("name", ["gsm8k", "humaneval"])
def test_an_empty_answer_gets_nothing(name: str):
    task = make_task(name, "test", DataPlace(DATA))
    rows = range(0, len(task), 40)
    assert task.baseline == sum(task.score(task[i], said("assistant", "")) for i in rows) == 0


@with_data
def test_humaneval_programs_of_the_right_answers_are_python():
    task = make_task("humaneval", "test", DataPlace(DATA))
    assert len(task) == 164
    for example in (task[i] for i in range(164)):
        made = program(example, example.gold)
        compile(f"{made.code}\n{made.test}", "program", "exec")


def test_every_task_opens_with_an_example_row():
    folder = Path(__file__).parents[3] / "stages" / "tasks"
    for module in {entry.module for entry in TASKS.values()}:
        docstring = (folder / f"{module}.py").read_text().split('"""')[1]
        assert "A row" in docstring, module


@with_data
@pytest.mark.parametrize("file", ["chat/identity_conversations", "chat/dolly_hhrlhf_1k", "chat_ja/asdc_main"])
def test_all_rows_of_real_conversations_are_read(file: str):
    path = DATA / f"{file}.jsonl"
    task = make_task("conversations", "train", DataPlace(), path=str(path))
    rows = path.read_text().splitlines()
    assert len(task) == len(rows)
    last = json.loads(rows[-1])
    wanted = last if isinstance(last, list) else last["messages"]
    assert [m.text for m in task[len(task) - 1].messages] == [m["content"] for m in wanted]
