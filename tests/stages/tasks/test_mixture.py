"""Mixtures: what a run file declares, in one sequence that depends on the seed alone."""

import random
from collections import Counter
from pathlib import Path

import pytest

from nanogen.structure import Count, structure
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.catalogue import TASKS, make_task
from stages.tasks.mixture import (
    TaskSetting,
    beside,
    check_tasks,
    make_mixture,
    make_part,
    outside_tasks,
)
from stages.tasks.part import part
from tests.stages.folders import TALK, fill, lines


@pytest.fixture
def place(tmp_path: Path) -> DataPlace:
    return DataPlace(fill(tmp_path))


def asked(mixture) -> list[str]:
    return [example.messages[0].text for example in mixture]


def test_a_mixture_holds_each_row_as_often_as_its_epochs_say(place: DataPlace):
    wanted = [TaskSetting("gsm8k", epochs=2), TaskSetting("mmlu", split="test", rows=Count(3))]
    mixture = make_mixture(wanted, place=place)
    assert len(mixture) == 13
    assert mixture.counts == [("gsm8k", 10), ("mmlu (test)", 3)]
    assert set(Counter(text for text in asked(mixture) if "bags" in text).values()) == {2}
    with pytest.raises(IndexError):
        mixture[13]


def test_its_order_is_a_shuffle_of_the_tasks_end_to_end(place: DataPlace):
    wanted = [
        TaskSetting("gsm8k", epochs=2),
        TaskSetting("smoltalk"),
        TaskSetting("arithmetic", rows=Count(4)),
    ]
    tasks = [make_task("gsm8k", "train", place)] * 2
    tasks += [make_task("smoltalk", "train", place), make_task("arithmetic", "train", place, rows=4)]
    listed = [(number, row) for number, task in enumerate(tasks) for row in range(len(task))]
    random.Random(7).shuffle(listed)
    mixture = make_mixture(wanted, seed=7, place=place)
    assert list(mixture) == [tasks[number][row] for number, row in listed]
    assert asked(make_mixture(wanted, seed=7, place=place)) == asked(mixture)
    assert asked(make_mixture(wanted, seed=8, place=place)) != asked(mixture)


@pytest.mark.parametrize(
    ("start", "stop", "rows", "kept"),
    [(0, None, None, [0, 1, 2, 3, 4]), (1, 3, None, [1, 2]), (2, None, 2, [2, 3]), (0, 4, 1, [0])],
)
def test_a_part_is_some_rows(
    place: DataPlace, start: int, stop: int | None, rows: int | None, kept: list[int]
):
    task = make_task("gsm8k", "train", place)
    cut = part(task, start=start, stop=stop, rows=rows)
    assert [cut[i] for i in range(len(cut))] == [task[i] for i in kept]
    assert (cut.name, cut.kind, cut.baseline, cut.files) == (task.name, task.kind, task.baseline, task.files)
    assert cut.score(cut[0], cut[0].gold) == 1  # type: ignore[attr-defined]
    with pytest.raises(IndexError):
        cut[len(kept)]


@pytest.mark.parametrize(
    ("start", "stop", "rows"), [(5, None, None), (0, 6, None), (0, None, 6), (4, None, 2), (2, 2, None)]
)
def test_rows_that_there_are_not_are_a_fault_and_never_fewer(place, start, stop, rows):
    with pytest.raises(Fault, match=r"`gsm8k` has [0-9] rows"):
        part(make_task("gsm8k", "train", place), start=start, stop=stop, rows=rows)


def test_made_up_tasks_have_the_rows_that_are_asked_for():
    cut = make_part(TaskSetting("arithmetic", start=200_000, rows=Count(5)))
    task = make_task("arithmetic", "train", DataPlace(), rows=200_005)
    assert [cut[i] for i in range(len(cut))] == [task[i] for i in range(200_000, 200_005)]
    assert len(make_part(TaskSetting("arithmetic", stop=300_000))) == 300_000


def test_options_reach_their_task():
    mixture = make_mixture([TaskSetting("arithmetic", rows=Count(50), digits=1, operations="+")])
    assert all("+" in e.gold.text and len(e.gold.parts[1].text) == 3 for e in mixture)


# -- as a run file has it


def read(**table):
    return structure(TaskSetting, table, ("tasks", 0))


def test_a_table_of_a_run_file_becomes_a_setting():
    found, faults = read(task="gsm8k", rows="1K", epochs=2)
    assert not faults
    assert found == TaskSetting("gsm8k", rows=Count(1000), epochs=2)


@pytest.mark.parametrize(
    ("table", "said", "key"),
    [
        ({"task": "gsm9k"}, "`task` is no task there is, found `gsm9k`", "task"),
        ({"task": "gsm8k", "digits": 2}, "`digits` is not for the task gsm8k, but for arithmetic", "digits"),
        ({"task": "gsm8k", "languages": ["en"]}, "`languages` is not for the task gsm8k", "languages"),
        ({"task": "arithmetic", "path": "x"}, "`path` is not for the task arithmetic", "path"),
        ({"task": "gsm8k", "rows": 0}, "`rows` is above 0", "rows"),
        ({"task": "gsm8k", "epochs": 0}, "`epochs` is above 0", "epochs"),
        ({"task": "gsm8k", "start": 3, "stop": 3}, "no row lies between", "stop"),
        ({"task": "gsm8k", "epoch": 2}, "there is no setting `epoch` here", "epoch"),
    ],
)
def test_a_mistake_is_told_at_its_key(table: dict, said: str, key: str):
    found, faults = read(**table)
    assert found is None
    assert said in faults[0].message
    assert faults[0].place.path == ("tasks", 0, key)


def test_paths_count_from_the_run_file(tmp_path: Path):
    lines(tmp_path / "talk.jsonl", [TALK])
    found = beside([TaskSetting("conversations", path="talk.jsonl"), TaskSetting("gsm8k")], tmp_path)
    assert found[0].path == str(tmp_path / "talk.jsonl")
    assert found[1].path is None
    assert found[0].label == "conversations talk.jsonl"


def test_what_is_missing_is_told_before_anything_runs(tmp_path: Path):
    with pytest.raises(Fault, match="`tasks` is empty"):
        make_mixture([])
    with pytest.raises(Fault, match=r"`tasks`: there is no `gsm8k`, split `train` here") as caught:
        check_tasks([TaskSetting("gsm8k")], DataPlace(tmp_path))
    assert caught.value.help == "`nanogen fetch RUN` gets it from openai/gsm8k, or set NANOGEN_DATA"
    check_tasks([TaskSetting("gsm8k", download=True), TaskSetting("arithmetic")], DataPlace(tmp_path))


def test_the_content_of_files_counts_and_not_their_place(tmp_path: Path):
    a, b = lines(tmp_path / "a/talk.jsonl", [TALK]), lines(tmp_path / "b/talk.jsonl", [TALK])
    first, second = (outside_tasks([TaskSetting("conversations", path=str(p))]) for p in (a, b))
    assert first == second
    lines(b, [TALK, TALK])
    assert outside_tasks([TaskSetting("conversations", path=str(b))]) != first
    assert outside_tasks([TaskSetting("conversations", path="nowhere.jsonl"), TaskSetting("arithmetic")]) == [
        [],
        [],
    ]


# -- the catalogue


@pytest.mark.parametrize(
    ("name", "help"), [("arcEasy", "did you mean `arc_easy`?"), ("gms8k", "did you mean `gsm8k`?")]
)
def test_an_unknown_name_is_answered_by_the_nearest(name: str, help: str):
    with pytest.raises(Fault) as caught:
        make_task(name, "train", DataPlace())
    assert caught.value.help == help


def test_an_unknown_option_or_split_is_a_fault(place: DataPlace):
    with pytest.raises(Fault, match="has no option `digits`"):
        make_task("gsm8k", "train", place, digits=3)
    with pytest.raises(Fault, match="`gsm8k` has no split `tset`") as caught:
        make_task("gsm8k", "tset", place)
    assert caught.value.help == "did you mean `test`?"


def test_every_task_has_its_name_kind_and_baseline(place: DataPlace, tmp_path: Path):
    path = str(lines(tmp_path / "talk.jsonl", [TALK]))
    facts = {"name": "x", "maker": "y"}
    special = {"conversations": {"path": path}, "identity": {"values": facts}}
    kinds = {}
    for name in TASKS:
        if name == "jcommonsenseqa":  # its files are known by their hashes
            continue
        split = "test" if name in ("arc_easy", "arc_challenge", "humaneval") else "train"
        task = make_task(name, split, place, **special.get(name, {}))
        assert task.name == name
        assert task.baseline == (0.25 if task.kind == "choice" else 0)
        assert hasattr(task, "score") == (task.kind != "conversation")
        assert task[0].gold.role == "assistant"
        kinds[name] = task.kind
    assert set(kinds.values()) == {"choice", "generative", "conversation"}
