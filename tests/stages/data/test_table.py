"""Rows by number: the same from memory and from the map, in any order, and flat in memory."""

import random
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.data import table
from stages.data.table import JsonTable, open_table
from tests.stages.folders import TALK, lines, parquet

ROWS = [{"text": f"row {n}", "parts": [{"a": n}], "left": "out"} for n in range(11)]
WANTED = [{"text": row["text"], "parts": row["parts"]} for row in ROWS]


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_rows_come_by_number_whether_held_or_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
):
    monkeypatch.setattr(table, "IN_MEMORY", in_memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = sorted(parquet(tmp_path / "rows", ROWS, files=3, manifest=False).glob("*.parquet"))
    found = open_table(files, ("text", "parts"))
    order = list(range(len(ROWS)))
    random.Random(1).shuffle(order)
    assert [found[i] for i in order] == [WANTED[i] for i in order]
    assert len(found) == 11
    for outside in (-1, 11):
        with pytest.raises(IndexError):
            found[outside]
    assert not list(tmp_path.glob("nanogen-rows-*")), "what was unpacked is gone with the table"


def test_nothing_is_unpacked_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = sorted(parquet(tmp_path, ROWS, files=2, manifest=False).glob("*.parquet"))
    monkeypatch.setattr(table.ParquetTable, "_unpacked", None)
    assert len(open_table(files, ("text",))) == 11


def test_lines_are_read_when_they_are_asked_for(tmp_path: Path):
    path = lines(tmp_path / "a.jsonl", [TALK, {"messages": TALK, "n": 1}])
    found = open_table([path], ("messages",))
    assert isinstance(found, JsonTable)
    assert [found[i]["messages"] for i in (1, 0)] == [TALK, TALK]
    with pytest.raises(IndexError):
        found[2]


def test_a_line_of_something_else_is_a_fault(tmp_path: Path):
    found = open_table([lines(tmp_path / "a.jsonl", [TALK, 7])], ("messages",))
    assert found[0] == {"messages": TALK}
    with pytest.raises(Fault, match=r"line 2 of `.*a\.jsonl` is neither"):
        found[1]
