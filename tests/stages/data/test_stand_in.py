"""Made-up data: written once, in the layouts that loaders read, and the same every time."""

from pathlib import Path

import pytest

from nanogen.data import data_set
from nanogen.shelf import shipped
from runtime.manifest import digest
from stages.data.place import DataPlace
from stages.data.shards import CORPORA, find_shards
from stages.data.stand_in import DOCUMENTS, ROWS, folder_of, write_stand_ins
from stages.data.table import open_table
from stages.tasks.core import FIELDS, prompts, read_bundle
from stages.tasks.mixture import TaskSetting, make_part

OWN = {"identity"}  # a file of facts makes these


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stand_ins(tmp_path_factory.mktemp("stand_ins"))


def test_every_data_set_that_ships_has_examples(stand_ins: Path):
    names = {name for name in shipped("data") if data_set(name).example}
    assert set(shipped("data")) - names == OWN
    assert {p.name for p in stand_ins.iterdir()} == {folder_of(stand_ins, name).name for name in names}


def test_they_are_written_once_and_alike(stand_ins: Path, tmp_path: Path):
    assert write_stand_ins(stand_ins.parent) == stand_ins
    again = write_stand_ins(tmp_path)
    assert again.name == stand_ins.name
    files = [p.relative_to(stand_ins) for p in stand_ins.rglob("*") if p.is_file()]
    assert len(files) > 20
    assert all(digest(stand_ins / file) == digest(again / file) for file in files)


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_has_a_shard_to_train_and_one_to_validate_on(stand_ins: Path, name: str):
    found = find_shards(name, 1, DataPlace(), path=str(folder_of(stand_ins, name)))
    assert found.pinned
    [train], validation = found.train, found.validation
    texts = [
        [row["text"] for row in map(open_table([p], ["text"]).__getitem__, range(DOCUMENTS))]
        for p in (train, validation)
    ]
    assert texts[0] != texts[1]
    assert len(set(texts[0])) > DOCUMENTS * 0.9
    assert all(text.strip() == text and text for text in texts[0])


@pytest.mark.parametrize("task", ["arc_easy", "mmlu", "gsm8k", "humaneval", "jcommonsenseqa"])
def test_rows_are_rows_of_their_task(stand_ins: Path, task: str):
    split = "valid" if task == "jcommonsenseqa" else "test"
    name = task.removesuffix("_easy")
    made = make_part(TaskSetting(task, split=split, path=str(folder_of(stand_ins, name))))
    assert len(made) == ROWS
    assert all(made.score(made[n], made[n].gold) == 1 for n in range(3))  # type: ignore[attr-defined]


def test_the_bundle_has_a_task_of_each_kind(stand_ins: Path):
    bundle = read_bundle(folder_of(stand_ins, "eval_bundle"))
    assert {task.kind for task in bundle.tasks} == set(FIELDS)
    for task in bundle.tasks:
        assert prompts(task, bundle.rows(task), 0)
