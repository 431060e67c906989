"""CORE of a model: what is run and what is not, what is kept, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from runtime.faults import Fault
from runtime.questions import Question, Score
from stages.evaluating.core_run import KEY, NAME, beside, evaluate_core
from stages.evaluating.kept import Kept
from stages.evaluating.task_results import headline, mean, table

TASKS = """
icl_tasks:
- {label: mops, dataset_uri: mops.jsonl, num_fewshot: [1], icl_task_type: multiple_choice}
- {label: towns, dataset_uri: towns.jsonl, num_fewshot: [0], icl_task_type: language_modeling}
- {label: absent, dataset_uri: absent.jsonl, num_fewshot: [0], icl_task_type: language_modeling}
"""
BASELINES = "Eval Task,Random baseline\nmops,50\ntowns,0\nabsent,0\n"
MOPS = [{"query": f"Q{n}", "choices": ["short", "longer"], "gold": n % 4 == 0} for n in range(12)]
TOWNS = [{"context": f"town {n} is in", "continuation": "Spain"} for n in range(5)]


def write_bundle(folder: Path) -> Path:
    (folder / "eval_data").mkdir(parents=True)
    (folder / "core.yaml").write_text(TASKS)
    (folder / "eval_meta_data.csv").write_text(BASELINES)
    for name, rows in (("mops", MOPS), ("towns", TOWNS)):
        rows = [{**row, "gold": int(row["gold"])} if "gold" in row else row for row in rows]
        (folder / f"eval_data/{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


class Bytes:
    """A tokenizer with an id for each byte."""

    bos = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


class FirstIsBest:
    """A scorer that likes the first option best, and foresees every continuation."""

    def __init__(self, context: int = 10_000):
        self.blueprint = {"context": context, "vocab": 257}
        self.asked: list[list[Question]] = []
        self.expected: list[int] = []

    def expect(self, ids: int) -> None:
        self.expected.append(ids)

    def score(self, questions: list[Question], done) -> list[list[Score]]:
        self.asked.append(questions)
        done(len(questions))
        return [[Score(float(n), 1, True) for n in range(len(q.options))] for q in questions]


def found(folder: Path, scorer, kept: Path, told, rows: int = 500) -> dict:
    return evaluate_core(folder, scorer, Bytes(), rows=rows, kept=Kept(kept), tell=told[0])


def test_core_is_the_mean_over_what_was_run_and_says_so(tmp_path, told):
    core = found(write_bundle(tmp_path / "bundle"), FirstIsBest(), tmp_path / "kept", told)
    mops, towns, absent = core["tasks"]
    assert (mops["right"], mops["rows"], mops["accuracy"], mops["centred"]) == (9, 12, 0.75, 0.5)
    assert mops["low"] < 0.75 < mops["high"]
    assert (towns["accuracy"], towns["centred"], towns["too_long"]) == (1, 1, 0)
    assert absent == {"task": "absent", "not_run": "the bundle has no `eval_data/absent.jsonl`"}
    assert (core["core"], core["over"], core["of"]) == (0.75, 2, 3)
    assert headline(NAME, KEY, core) == "CORE over 2 of 3 tasks 0.7500"
    assert "absent: not run: the bundle has no" in told[1].getvalue()
    assert table(core)[3] == ("absent", "not run", "the bundle has no `eval_data/absent.jsonl`")
    assert table(core)[1][:4] == ("mops", "75.0%", "46.8 to 91.1", "0.5000")


def test_the_scorer_is_told_about_how_many_ids_come(tmp_path, told):
    bundle, scorer = write_bundle(tmp_path / "bundle"), FirstIsBest()
    found(bundle, scorer, tmp_path / "kept", told)
    mops = len("Q3 short\n\nQ4 longer")
    towns = len("town 0 is in Spain")
    assert scorer.expected == [pytest.approx(12 * mops + 5 * towns, rel=0.1)]
    found(bundle, scorer, tmp_path / "kept", told)
    assert scorer.expected[1:] == [0]  # what was found before is not read again
    short = FirstIsBest(context=10)
    found(bundle, short, tmp_path / "short", told)
    assert short.expected == [(12 + 5) * 10]


def test_published_models_stand_beside_it_over_the_same_tasks(tmp_path, told):
    folder = write_bundle(tmp_path / "bundle")
    head = "Task, Accuracy, Centered\n"
    (folder / "gpt2.csv").write_text(
        f"{head}mops, 0.75, 0.5\ntowns, 0.25, 0.25\nabsent, 1, 1\nCORE, , 0.58\n"
    )
    (folder / "other.csv").write_text(f"{head}mops, 0.75, 0.5\n")  # was not asked all that this one was
    core = found(folder, FirstIsBest(), tmp_path / "kept", told)
    assert core["published"] == [{"model": "gpt2", KEY: pytest.approx((0.5 + 0.25) / 2)}]
    assert beside(core) == "gpt2 0.3750"


def test_core_over_all_tasks_is_called_core():
    tasks = [{"task": name, "centred": value} for name, value in (("a", 0.1), ("b", 0.3))]
    assert headline(NAME, KEY, mean(KEY, tasks)) == "CORE 0.2000"


def test_no_task_at_all_is_no_zero():
    core = mean(KEY, [{"task": "a", "not_run": "why"}])
    assert core["core"] is None
    assert headline(NAME, KEY, core) == "CORE not run: none of its tasks could be run"


def test_a_folder_that_is_no_bundle_is_told(tmp_path, told):
    core = found(tmp_path, FirstIsBest(), tmp_path / "kept", told)
    assert core["core"] is None
    assert "has no `core.yaml`" in headline(NAME, KEY, core)


def test_a_cut_off_evaluation_goes_on_after_the_tasks_that_are_done(tmp_path, told):
    folder = write_bundle(tmp_path / "bundle")
    straight = found(folder, FirstIsBest(), tmp_path / "straight", told)

    class Killed(BaseException):
        pass

    class Dies(FirstIsBest):
        def score(self, questions, done):
            if len(self.asked) == 1:
                raise Killed
            return super().score(questions, done)

    with pytest.raises(Killed):
        found(folder, Dies(), tmp_path / "kept", told)
    second = FirstIsBest()
    again = found(folder, second, tmp_path / "kept", told)
    assert len(second.asked) == 1
    for core in (straight, again):
        for task in core["tasks"]:
            task.pop("seconds", None)
    assert again == straight


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Fault("the row is odd"), "the row is odd"),
        (MemoryError(), "out of memory, even a few prompts at a time"),
        (torch.OutOfMemoryError("full"), "out of memory, even a few prompts at a time"),
    ],
)
def test_a_task_that_fails_ends_nothing(tmp_path, told, error, reason):
    class Fails(FirstIsBest):
        def score(self, questions, done):
            if len(questions[0].options) > 1:
                raise error
            return super().score(questions, done)

    core = found(write_bundle(tmp_path / "bundle"), Fails(), tmp_path / "kept", told)
    assert core["tasks"][0] == {"task": "mops", "not_run": reason}
    assert (core["core"], core["over"]) == (1, 1)


def test_a_fault_of_the_code_is_not_hidden(tmp_path, told):
    class Broken(FirstIsBest):
        def score(self, questions, done):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        found(write_bundle(tmp_path / "bundle"), Broken(), tmp_path / "kept", told)


def test_prompts_are_cut_to_the_context_and_counted(tmp_path, told):
    scorer = FirstIsBest(context=14)
    core = found(write_bundle(tmp_path / "bundle"), scorer, tmp_path / "kept", told)
    assert max(q.longest for asked in scorer.asked for q in asked) - 1 == 14
    assert [task.get("too_long") for task in core["tasks"]] == [12, 5, None]
    assert "12 rows, 12 too long for the context" in told[1].getvalue()


def test_fewer_rows_are_asked_where_that_is_said(tmp_path, told):
    core = found(write_bundle(tmp_path / "bundle"), FirstIsBest(), tmp_path / "kept", told, rows=3)
    assert [task.get("rows") for task in core["tasks"]] == [3, 3, None]
