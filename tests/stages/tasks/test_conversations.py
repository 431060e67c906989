"""Conversations out of files: both forms, all rows, and what is said of a bad one."""

import json
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.tasks.catalogue import make_task
from tests.stages.folders import TALK, lines, parquet


def texts(path: Path) -> list[list[str]]:
    task = make_task("conversations", "train", DataPlace(), path=str(path))
    return [[m.text for m in task[i].messages] for i in range(len(task))]


def talk(answer: str) -> list[dict]:
    return [TALK[0], {"role": "assistant", "content": answer}]


def test_lines_are_lists_or_objects(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", [talk("1"), {"messages": talk("2"), "more": 1}, talk("3")])
    assert texts(path) == [["Hi", "1"], ["Hi", "2"], ["Hi", "3"]]


def test_blank_lines_are_no_rows(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(f"\n{json.dumps(talk('1'))}\n \n{json.dumps(talk('2'))}")
    assert texts(path) == [["Hi", "1"], ["Hi", "2"]]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_file_is_read_whole_and_in_every_row(tmp_path: Path, indent: int | None):
    path = tmp_path / "a.json"
    for rows in ([talk("1"), talk("2")], [{"messages": talk("1")}, {"messages": talk("2")}]):
        path.write_text(json.dumps(rows, indent=indent))
        assert texts(path) == [["Hi", "1"], ["Hi", "2"]]
    path.write_text(json.dumps(talk("1"), indent=indent))
    assert texts(path) == [["Hi", "1"]]


def test_a_folder_is_all_its_files(tmp_path: Path):
    lines(tmp_path / "b.jsonl", [talk("2")])
    lines(tmp_path / "a.jsonl", [talk("1")])
    assert texts(tmp_path) == [["Hi", "1"], ["Hi", "2"]]


def test_parquet_has_a_column_of_messages(tmp_path: Path):
    assert texts(
        parquet(tmp_path / "rows", [{"messages": talk("1")}, {"messages": talk("2")}], manifest=False)
    ) == [
        ["Hi", "1"],
        ["Hi", "2"],
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"text": "x"}', "line 1 of `.*a.jsonl` has no column `messages`"),
        ("{", "line 1 of `.*a.jsonl` is not JSON"),
        ("7", "line 1 of `.*a.jsonl` is neither an object nor a list"),
        (
            '[{"role": "user", "content": "x"}]',
            "conversation 1 of `conversations` does not end with an answer",
        ),
        (
            '[{"role": "robot", "content": "x"}]',
            r"conversation 1 of `.*a.jsonl`: the role of `messages\[0\]`",
        ),
        ("", "holds no rows"),
    ],
)
def test_a_bad_row_is_a_fault_that_names_its_place(tmp_path: Path, row: str, said: str):
    (tmp_path / "a.jsonl").write_text(row)
    with pytest.raises(Fault, match=said):
        texts(tmp_path / "a.jsonl")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path):
    with pytest.raises(Fault, match="there is no file"):
        texts(tmp_path / "none.jsonl")
    with pytest.raises(Fault, match="needs a `path`"):
        make_task("conversations", "train", DataPlace())
