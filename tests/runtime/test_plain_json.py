"""JSON of others: plain, or one fault."""

from pathlib import Path

import pytest

from runtime.faults import Fault
from runtime.plain_json import parse_json, read_json, read_object


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested without end"),
        ("[" * 250 + "]" * 250, "nested without end"),
        ('{"a":' * 250 + "1" + "}" * 250, "nested without end"),
        ("[NaN]", "it holds NaN"),
        ("-Infinity", "it holds -Infinity"),
        ("1e999", "it holds 1e999, which no number reaches"),
        ("9" * 5000, "a number of 5,000 digits"),
        ("-" + "9" * 100, "a number of 100 digits"),
        ('{"a": 1, "a": 2}', "the key `a` stands twice"),
        ('"\\ud800"', "half a character"),
        ("{", "is not JSON: expecting property name enclosed in double quotes in line 1"),
        ("", "is not JSON"),
    ],
)
def test_what_is_not_plain_is_one_fault(text, message):
    with pytest.raises(Fault, match=message):
        parse_json(text.encode(), "`x.json`")


def test_bytes_that_are_no_text():
    with pytest.raises(Fault, match="its bytes are no text"):
        parse_json(b'"\xff\xff\xff\xff"', "`x.json`")


def test_what_is_plain_is_read():
    text = '{"a": [1, -2.5, 9223372036854775807, null, true, "\\u65e5"], "b": {"c": 1e-9}}'
    assert parse_json(text.encode(), "") == {"a": [1, -2.5, 2**63 - 1, None, True, "日"], "b": {"c": 1e-9}}


def test_files(tmp_path: Path):
    with pytest.raises(Fault, match="cannot be read: no such file"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[1]")
    assert read_json(tmp_path / "x.json") == [1]
    with pytest.raises(Fault, match="is not a JSON object"):
        read_object(tmp_path / "x.json")
    (tmp_path / "x.json").write_bytes(b"\x80\x05K\x01.")
    with pytest.raises(Fault, match="is a pickle of protocol 5, where a JSON file belongs"):
        read_json(tmp_path / "x.json")
