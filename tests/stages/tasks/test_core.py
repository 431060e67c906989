"""CORE's prompts, spans and answers, against those of its original and by hand."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from runtime.faults import Fault
from runtime.questions import Score
from runtime.tokenizer import Tokenizer
from stages.evaluating.accuracy import Accuracy
from stages.tasks.core import CONTINUE, Bundle, Encoder, Task, is_right, prompts, question, read_bundle

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "../shared/golden/text.public.json"
BUNDLE = ROOT / "../shared/data/eval_bundle"
ABSENT = "reading_comprehension/coqa.jsonl"  # from the sample

CHOICE_TASK = Task("mops", "multiple_choice", "mops.jsonl", 1, 50, "\nAnswer: ")
CHOICE_ROWS = [
    {"query": "Question: mop", "choices": ["a blade", "a long handle"], "gold": 1},
    {"query": "Question: knife", "choices": ["a blade", "a mop"], "gold": 0},
]


# -- golden


def golden() -> list[dict[str, Any]]:
    return json.loads(GOLDEN.read_text())["core"] if GOLDEN.exists() and BUNDLE.exists() else []


@lru_cache
def original_tokenizer() -> Tokenizer:
    ranks = json.loads(GOLDEN.read_text())["ranks_hex"]
    return Tokenizer(tuple(bytes.fromhex(text) for _, text in sorted(ranks)))


@lru_cache
def sample() -> Bundle:
    return read_bundle(BUNDLE)


@pytest.mark.skipif(not golden(), reason="golden vectors are not here")
@pytest.mark.parametrize("case", golden(), ids=lambda case: f"{case['task']}-{case['shuffled_index']}")
def test_prompts_and_spans_are_the_originals(case):
    task = next(task for task in sample().tasks if task.label == case["task"])
    assert (task.kind, task.shots, task.delimiter) == (case["type"], case["fewshot"], case["delimiter"])
    rows, index, tokenizer = sample().rows(task), case["shuffled_index"], original_tokenizer()
    texts = prompts(task, rows, index)
    assert texts == case["prompts"]
    found = question(task, rows, index, Encoder(tokenizer.encode, tokenizer.bos)).options
    assert [len(option.ids) for option in found] == case["token_counts"] == case["end"]
    assert [option.start for option in found] == case["start"]
    scored = texts[1:] if task.kind == CONTINUE else texts
    assert [list(o.ids) for o in found] == [[tokenizer.bos, *tokenizer.encode(text)] for text in scored]


# -- the sample


def sampled() -> list[Task]:
    return [task for task in sample().tasks if task.file != ABSENT] if BUNDLE.exists() else []


def answers(task: Task, choose) -> Accuracy:
    """How often a scorer that gives option `choose(row)` the lowest loss is right."""
    rows, right = sample().rows(task, 500), 0
    for row in rows:
        options = len(row.get("choices") or row.get("context_options") or [None])
        chosen = choose(row, options)
        scores = [Score(1.0 if place == chosen else 2.0, 1, chosen == 0) for place in range(options)]
        right += is_right(task, row, scores)
    return Accuracy(right, len(rows))


# tasks whose stated baseline is not what picking an option at random reaches, and why
OTHERWISE = {
    "boolq": "the share of the commoner answer",
    "commonsense_qa": "of five options, where the rows have four",
    "agi_eval_lsat_ar": "of five options, where the rows have four",
    "bigbench_language_identification": "of eleven options, where the rows have four",
}
TIMES = 60


@pytest.mark.skipif(not sampled(), reason="the sample is not here")
@pytest.mark.parametrize("task", sampled(), ids=lambda task: task.label)
def test_a_scorer_that_knows_gold_is_always_right(task):
    assert answers(task, lambda row, options: row.get("gold", 0)).share == 1
    assert (
        answers(task, lambda row, options: (row.get("gold", 0) + 1) % options if options > 1 else None).share
        == 0
    )


@pytest.mark.skipif(not sampled(), reason="the sample is not here")
@pytest.mark.parametrize("task", [t for t in sampled() if t.kind != CONTINUE], ids=lambda task: task.label)
def test_a_scorer_that_guesses_reaches_the_baseline(task):
    """Its interval holds the baseline about 95 times in 100."""
    guess = Random(0)
    found = [answers(task, lambda row, options: guess.randrange(options)) for _ in range(TIMES)]
    rows = sample().rows(task, 500)
    chance = sum(1 / len(row.get("choices") or row["context_options"]) for row in rows) / len(rows)
    held = [low <= chance <= high for low, high in (accuracy.interval for accuracy in found)]
    assert sum(held) >= 0.85 * TIMES
    assert (abs(100 * chance - task.baseline) > 0.5) == (task.label in OTHERWISE)


@pytest.mark.skipif(not sampled(), reason="the sample is not here")
def test_the_baseline_of_boolq_is_its_commoner_answer():
    task = next(task for task in sampled() if task.label == "boolq")
    yes = answers(task, lambda row, options: row["choices"].index("yes"))
    assert yes.interval[0] <= task.baseline / 100 <= yes.interval[1]


@pytest.mark.skipif(not sampled(), reason="the sample is not here")
@pytest.mark.parametrize("task", sampled()[::4], ids=lambda task: task.label)
def test_pieces_are_encoded_as_the_whole(task):
    tokenizer, rows = original_tokenizer(), sample().rows(task, 40)
    encoder = Encoder(tokenizer.encode, tokenizer.bos)
    for index in range(0, len(rows), 5):
        for text in prompts(task, rows, index):
            assert encoder(text) == [tokenizer.bos, *tokenizer.encode(text)]


@pytest.mark.skipif(not sampled(), reason="the sample is not here")
def test_a_task_that_the_bundle_lacks_is_a_fault():
    task = next(task for task in sample().tasks if task.file == ABSENT)
    with pytest.raises(Fault, match="coqa"):
        sample().rows(task)
    assert len(sample().tasks) == 22


# -- by hand


def characters(text: str) -> list[int]:
    return [ord(c) for c in text]


ENCODER_BOS = 0


def asked(task: Task, rows: list, index: int):
    return question(task, rows, index, Encoder(characters, ENCODER_BOS)).options


def test_choices_are_scored_from_where_they_part():
    first, second = asked(CHOICE_TASK, CHOICE_ROWS, 1)
    before = "Question: mop\nAnswer: a long handle\n\nQuestion: knife\nAnswer: a "
    assert prompts(CHOICE_TASK, CHOICE_ROWS, 1) == [before + "blade", before + "mop"]
    assert first.start == second.start == 1 + len(before)


def test_a_choice_that_another_begins_with_is_scored_too():
    rows = [{"query": "q", "choices": ["ab", "abc"], "gold": 1}]
    task = Task("t", "multiple_choice", "t.jsonl", 0, 50, " ")
    assert [len(o.ids) - o.start for o in asked(task, rows, 0)] == [1, 2]


def test_schemas_are_scored_where_they_end_alike():
    rows = [{"context_options": ["so Ann", "so Bea"], "continuation": "is owed.", "gold": 0}]
    task = Task("t", "schema", "t.jsonl", 0, 50, " ")
    found = asked(task, rows, 0)
    assert ["".join(map(chr, o.ids[o.start :])) for o in found] == [" is owed."] * 2


def test_a_continuation_is_scored_after_its_trimmed_context():
    rows = [{"context": "  two and two is \n", "continuation": "four "}]
    task = Task("t", CONTINUE, "t.jsonl", 0, 0, " ")
    assert prompts(task, rows, 0) == ["two and two is", "two and two is four "]
    (option,) = asked(task, rows, 0)
    assert "".join(map(chr, option.ids[option.start :])) == " four "


def test_the_lowest_mean_wins_and_the_first_of_equals():
    row = {"gold": 1}
    assert is_right(CHOICE_TASK, row, [Score(4.0, 2, False), Score(5.0, 5, False)])
    assert not is_right(CHOICE_TASK, row, [Score(2.0, 2, False), Score(5.0, 5, False)])


# -- bundles


def write(folder: Path, task: str, rows: list, baselines: str = "mops,50") -> Bundle:
    (folder / "eval_data").mkdir()
    (folder / "core.yaml").write_text(f"icl_tasks:\n- {task}\n")
    (folder / "eval_meta_data.csv").write_text(f"Eval Task,Random baseline\n{baselines}\n")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "eval_data/mops.jsonl").write_text("\n".join(lines) + "\n")
    return read_bundle(folder)


MOPS = "{label: mops, dataset_uri: mops.jsonl, num_fewshot: [1], icl_task_type: multiple_choice}"


def test_a_bundle_is_read(tmp_path):
    bundle = write(tmp_path, MOPS, CHOICE_ROWS)
    assert bundle.tasks == (Task("mops", "multiple_choice", "mops.jsonl", 1, 50.0, " "),)
    assert sorted(row["query"] for row in bundle.rows(bundle.tasks[0])) == [
        "Question: knife",
        "Question: mop",
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1 of `eval_data/mops.jsonl` is not JSON"),
        ([CHOICE_ROWS[0], {"query": "q", "choices": ["a"], "gold": 0}], "line 2 .* is no row of the kind"),
        ([{"query": "q", "choices": ["a", "b"], "gold": 2}], "option 2 is right"),
        ([{"query": "q", "choices": ["a", " "], "gold": 0}], "no row of the kind"),
        ([CHOICE_ROWS[0]], "has 1 rows, and each is asked after 1 others"),
        ([], "has 0 rows"),
    ],
)
def test_rows_that_cannot_be_asked_are_faults(tmp_path, rows, message):
    bundle = write(tmp_path, MOPS, rows)
    with pytest.raises(Fault, match=message):
        bundle.rows(bundle.tasks[0])


@pytest.mark.parametrize(
    ("task", "baselines", "message"),
    [
        (MOPS, "brooms,50", "says nothing of 'mops'"),
        (MOPS.replace("multiple_choice", "essay"), "mops,50", "unknown kind `essay`"),
        ("[", "mops,50", "is no evaluation bundle"),
        (MOPS, "mops,half", "half"),
    ],
)
def test_what_is_no_bundle_is_a_fault(tmp_path, task, baselines, message):
    with pytest.raises(Fault, match=message):
        write(tmp_path, task, CHOICE_ROWS, baselines)


def test_a_folder_without_tasks_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"has no `core\.yaml`"):
        read_bundle(tmp_path)


def test_few_rows_are_examples_for_each_other(tmp_path):
    """Examples come from the rows that are asked, as in the original."""
    rows = [{"query": f"q{n}", "choices": ["a", "b"], "gold": 0} for n in range(30)]
    bundle = write(tmp_path, MOPS, rows)
    few = bundle.rows(bundle.tasks[0], 3)
    assert few == bundle.rows(bundle.tasks[0])[:3]
    seen = {row["query"] for row in few}
    for index in range(3):
        example = prompts(bundle.tasks[0], few, index)[0].split(" ")[0]
        assert example in seen - {few[index]["query"]}
