"""What was found once is not found again, however the stage ended."""

import pytest

from stages.evaluating.kept import Kept


def test_a_result_is_found_once(tmp_path):
    path, asked = tmp_path / "saves" / "found.jsonl", []

    def find(name):
        asked.append(name)
        return {"name": name, "value": 0.1}

    kept = Kept(path)
    assert kept.once("a", lambda: find("a")) == kept.once("a", lambda: find("a"))
    again = Kept(path)
    assert again.once("a", lambda: find("a")) == {"name": "a", "value": 0.1}
    assert again.once("none", lambda: None) is None
    assert Kept(path).once("none", lambda: find("none")) is None
    assert asked == ["a"]


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "found.jsonl"
    kept = Kept(path)
    kept.once("a", lambda: 1)
    kept.once("b", lambda: 2)
    path.write_bytes(path.read_bytes()[:-3])
    again = Kept(path)
    assert again.once("a", lambda: 3) == 1
    assert again.once("b", lambda: 4) == 4
    assert Kept(path).once("b", lambda: 5) == 4


def test_what_raises_is_not_kept(tmp_path):
    kept = Kept(tmp_path / "found.jsonl")
    with pytest.raises(ZeroDivisionError):
        kept.once("a", lambda: 1 / 0)
    assert kept.once("a", lambda: 7) == 7
